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
#include "machine/memory.h"
#include "model/model.h"

namespace ds4 {
namespace {

constexpr const char *kAskedFor = "asked for";
const std::string kPackedPlace = "\"place\":\"packed\"";

// A caller that sets any other field of the experts wants them packed.
bool is_automatic(const ExpertOptions &options) {
    return options.place == DS4_EXPERTS_AUTO && options.numerics == DS4_EXPERT_NUMERICS_AUTO &&
           options.library.empty() && options.threads == 0 && options.parts == 0 &&
           options.layers == 0;
}

MemoryNeeds needs_of(const PlacementInput &input, int packed_layers) {
    const Model &model = input.model;
    return memory_needs(model.layers(), packed_layers, model.used_bytes(), input.account);
}

int packed_layers(const PlacementInput &input) {
    const int layers = input.model.shape().layers, wanted = input.options.layers;
    return wanted == 0 ? layers : std::min(wanted, layers);
}

// Opens the library if it can hold the experts and they fit in `available` bytes. Throws Error with
// the obstacle otherwise.
std::unique_ptr<ExpertLibrary> library_for(const PlacementInput &input, uint64_t available) {
    const int layers = packed_layers(input);
    auto library = std::make_unique<ExpertLibrary>(input.options.library);
    std::string obstacle = packing_obstacle(input.model.shape(), input.model.layers(), layers,
                                            library->has_extension());
    if (!obstacle.empty())
        fail(DS4_ERR_ARGUMENT, "routed experts cannot be packed: %s", obstacle.c_str());
    obstacle = memory_obstacle(needs_of(input, layers), available, is_automatic(input.options));
    if (!obstacle.empty())
        fail(DS4_ERR_DEVICE_MEMORY, "routed experts do not fit in memory: %s", obstacle.c_str());
    return library;
}

std::string mapped_description(const std::string &reason) {
    return "\"place\":\"mapped\",\"reason\":" + json_quoted(reason);
}

// The members about the place alone, without braces.
std::string planned_place(const PlacementInput &input, uint64_t available) {
    if (input.options.place == DS4_EXPERTS_MAPPED) return mapped_description(kAskedFor);
    try {
        library_for(input, available);
        return kPackedPlace;
    } catch (const Error &error) {
        if (!is_automatic(input.options)) throw;
        return mapped_description(error.what());
    }
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

ExpertPlacement place_experts(const PlacementInput &input, const PackingSetup &setup) {
    const Model &model = input.model;
    const ExpertOptions &options = input.options;
    if (options.place == DS4_EXPERTS_MAPPED) return {nullptr, kAskedFor};
    ExpertPlacement placement;
    try {
        placement.packed = std::make_unique<PackedExperts>(
            library_for(input, machine::available_memory()),
            PackedExperts::Setup{model.shape(), model.layers(), &model.files(), options, setup.isa,
                                 expert_numerics(options.numerics, setup.automatic_numerics),
                                 packed_layers(input)},
            setup.pool);
    } catch (const Error &error) {
        if (!is_automatic(options)) throw;
        return {nullptr, error.what()};
    }
    // From here on an error comes from the file or the machine, so mapping would not help.
    placement.packed->load(setup.progress);
    return placement;
}

std::string ExpertPlacement::describe() const {
    return "{" + (packed != nullptr ? packed->describe() : mapped_description(mapped_reason)) + "}";
}

ExpertPlan plan_experts(const PlacementInput &input) {
    const uint64_t available = machine::available_memory();
    const MemoryNeeds needs = needs_of(input, packed_layers(input));
    const std::string place = planned_place(input, available);
    return {place == kPackedPlace, needs.packed,
            place + ",\"experts_bytes\":" + std::to_string(needs.packed) +
                ",\"rest_bytes\":" + std::to_string(needs.rest) +
                ",\"sessions_bytes\":" + std::to_string(needs.sessions) + ",\"available_bytes\":" +
                (available == UINT64_MAX ? "null" : std::to_string(available))};
}

} // namespace ds4
