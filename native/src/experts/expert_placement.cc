#include "experts/expert_placement.h"

#include <algorithm>

#include "base/json.h"
#include "base/error.h"
#include "base/fail.h"
#include "ds4.h"
#include "experts/expert_library.h"
#include "experts/expert_options.h"
#include "experts/library_support.h"
#include "experts/memory_budget.h"
#include "kv/cache_layout.h"
#include "machine/memory.h"
#include "model/model.h"

namespace ds4 {
namespace {

constexpr uint32_t kSessionTokens = 32768; // the default length of a server's sessions

// A caller that sets any other field of the experts wants them packed.
bool is_automatic(const ExpertOptions &options) {
    return options.place == DS4_EXPERTS_AUTO && options.numerics == DS4_EXPERT_NUMERICS_AUTO &&
           options.library.empty() && options.threads == 0 && options.parts == 0 &&
           options.layers == 0;
}

// Throws Error(DS4_ERR_DEVICE_MEMORY) if the packed layers do not fit.
void check_memory(const PlacementInput &input, int layers, bool must_hold_rest) {
    const Model &model = input.model;
    const uint32_t wanted = input.options.session_tokens;
    const uint32_t session_tokens =
        std::min(wanted == 0 ? kSessionTokens : wanted, model.shape().context_tokens);
    const MemoryNeeds needs = memory_needs(model.layers(), layers, model.used_bytes(),
                                           input.cache.sequence_bytes(session_tokens));
    const std::string obstacle =
        memory_obstacle(needs, machine::available_memory(), must_hold_rest);
    if (!obstacle.empty())
        fail(DS4_ERR_DEVICE_MEMORY, "routed experts do not fit in memory: %s", obstacle.c_str());
}

std::unique_ptr<PackedExperts> open_packed(const PlacementInput &input, bool must_hold_rest) {
    const Shape &shape = input.model.shape();
    const ExpertOptions &options = input.options;
    const int layers = options.layers == 0 ? shape.layers : std::min(options.layers, shape.layers);
    auto library = std::make_unique<ExpertLibrary>(options.library);
    const std::string obstacle =
        packing_obstacle(shape, input.model.layers(), layers, library->has_extension());
    if (!obstacle.empty())
        fail(DS4_ERR_ARGUMENT, "routed experts cannot be packed: %s", obstacle.c_str());
    check_memory(input, layers, must_hold_rest);
    return std::make_unique<PackedExperts>(
        std::move(library),
        PackedExperts::Setup{shape, input.model.layers(), &input.model.files(), options, input.isa,
                             expert_numerics(options.numerics, input.automatic_numerics), layers},
        input.pool);
}

} // namespace

const char *expert_numerics(uint32_t requested, const char *automatic) {
    switch (requested) {
    case DS4_EXPERT_NUMERICS_INT8: return "int8";
    case DS4_EXPERT_NUMERICS_BF16: return "bf16";
    case DS4_EXPERT_NUMERICS_FP8REF: return "fp8ref";
    case DS4_EXPERT_NUMERICS_F32: return "f32";
    default: return automatic;
    }
}

ExpertPlacement place_experts(const PlacementInput &input) {
    if (input.options.place == DS4_EXPERTS_MAPPED) return {nullptr, "asked for"};
    const bool automatic = is_automatic(input.options);
    ExpertPlacement placement;
    try {
        placement.packed = open_packed(input, automatic);
    } catch (const Error &error) {
        if (!automatic) throw;
        return {nullptr, error.what()};
    }
    // From here on an error comes from the file or the machine, so mapping would not help.
    placement.packed->load();
    return placement;
}

std::string ExpertPlacement::describe() const {
    return "{" +
           (packed != nullptr ? packed->describe()
                              : "\"place\":\"mapped\",\"reason\":" + json_quoted(mapped_reason)) +
           "}";
}

} // namespace ds4
