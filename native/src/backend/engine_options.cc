#include "backend/engine_options.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/fail.h"
#include "ds4.h"

namespace ds4 {
namespace {

// The caller's struct with zeros for what its header did not know.
ds4_engine_options widened(const ds4_engine_options *raw) {
    ds4_engine_options full{};
    if (raw == nullptr) return full;
    if (raw->struct_bytes < offsetof(ds4_engine_options, numerics) + sizeof(uint32_t))
        fail(DS4_ERR_ARGUMENT, "ds4_engine_options: struct_bytes is %u", raw->struct_bytes);
    std::memcpy(&full, raw, std::min<size_t>(raw->struct_bytes, sizeof full));
    // A struct that ends inside a pointer has no such pointer.
    if (raw->struct_bytes < offsetof(ds4_engine_options, expert_library) + sizeof(void *))
        full.expert_library = nullptr;
    if (raw->struct_bytes < sizeof full) full.progress = nullptr;
    return full;
}

} // namespace

EngineOptions read_engine_options(const ds4_engine_options *raw) {
    const ds4_engine_options full = widened(raw);
    constexpr uint32_t kKnownSwitches = DS4_SWITCH_NO_KV_ROUNDING | DS4_SWITCH_NO_INDEX_ROUNDING |
                                        DS4_SWITCH_NO_SHARED_CLAMP | DS4_SWITCH_F32_ACTIVATIONS;
    if (full.numerics > DS4_NUMERICS_PLAIN)
        fail(DS4_ERR_ARGUMENT, "numerics is %u; expected 0 (fast), 1 (trained) or 2 (plain)",
             full.numerics);
    if ((full.switches & ~kKnownSwitches) != 0)
        fail(DS4_ERR_ARGUMENT, "switches has unknown bits: %#x", full.switches);
    if (full.isa > DS4_ISA_AVX512)
        fail(DS4_ERR_ARGUMENT, "isa is %u; expected 0 (auto), 1 (generic), 2 (AVX2) or 3 (AVX-512)",
             full.isa);
    if (full.threads > 1024)
        fail(DS4_ERR_ARGUMENT, "threads is %u; expected 0..1024", full.threads);
    if (full.max_step_tokens > 65536)
        fail(DS4_ERR_ARGUMENT, "max_step_tokens is %u; expected 0..65536", full.max_step_tokens);
    EngineOptions options;
    options.numerics = full.numerics;
    options.switches = full.switches;
    options.isa = full.isa;
    options.threads = int(full.threads);
    if (full.max_step_tokens != 0) options.max_step_tokens = full.max_step_tokens;
    options.experts = read_expert_options(full);
    return options;
}

} // namespace ds4
