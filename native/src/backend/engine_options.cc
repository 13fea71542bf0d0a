#include "backend/engine_options.h"

#include "base/fail.h"
#include "ds4.h"

namespace ds4 {
namespace {

void check_progress(const ds4_load_progress *progress) {
    if (reinterpret_cast<uintptr_t>(progress) % alignof(ds4_load_progress) != 0)
        fail(DS4_ERR_ARGUMENT, "ds4_load_progress must lie at a multiple of %zu bytes",
             alignof(ds4_load_progress));
    if (progress != nullptr && progress->reserved != 0)
        fail(DS4_ERR_ARGUMENT, "ds4_load_progress: the reserved field is %u; expected 0",
             progress->reserved);
}

} // namespace

EngineOptions read_engine_options(const ds4_engine_options &raw) {
    constexpr uint32_t kKnownSwitches = DS4_SWITCH_NO_KV_ROUNDING | DS4_SWITCH_NO_INDEX_ROUNDING |
                                        DS4_SWITCH_NO_SHARED_CLAMP | DS4_SWITCH_F32_ACTIVATIONS |
                                        DS4_SWITCH_MAPPED_DENSE;
    if (raw.numerics > DS4_NUMERICS_PLAIN)
        fail(DS4_ERR_ARGUMENT, "numerics is %u; expected 0 (fast), 1 (trained) or 2 (plain)",
             raw.numerics);
    if ((raw.switches & ~kKnownSwitches) != 0)
        fail(DS4_ERR_ARGUMENT, "switches has unknown bits: %#x", raw.switches);
    if (raw.isa > DS4_ISA_AVX512)
        fail(DS4_ERR_ARGUMENT, "isa is %u; expected 0 (auto), 1 (generic), 2 (AVX2) or 3 (AVX-512)",
             raw.isa);
    if (raw.threads > 1024) fail(DS4_ERR_ARGUMENT, "threads is %u; expected 0..1024", raw.threads);
    if (raw.max_step_tokens > 65536)
        fail(DS4_ERR_ARGUMENT, "max_step_tokens is %u; expected 0..65536", raw.max_step_tokens);
    if (raw.backend > DS4_BACKEND_CUDA)
        fail(DS4_ERR_ARGUMENT, "backend is %u; expected 0 (auto), 1 (CPU) or 2 (CUDA)",
             raw.backend);
    if (raw.reserved != 0)
        fail(DS4_ERR_ARGUMENT, "ds4_engine_options: the reserved field is %u; expected 0",
             raw.reserved);
    check_progress(raw.progress);
    EngineOptions options;
    options.backend = raw.backend;
    options.numerics = raw.numerics;
    options.switches = raw.switches;
    options.cpu = {raw.isa, int(raw.threads)};
    options.session_tokens = raw.session_tokens;
    if (raw.max_step_tokens != 0) options.max_step_tokens = raw.max_step_tokens;
    options.progress = raw.progress;
    options.experts = read_expert_options(raw);
    return options;
}

} // namespace ds4
