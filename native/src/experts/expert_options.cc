#include "experts/expert_options.h"

#include "base/fail.h"
#include "ds4.h"

namespace ds4 {
ExpertOptions read_expert_options(const ds4_engine_options &raw) {
    if (raw.experts > DS4_EXPERTS_MAPPED)
        fail(DS4_ERR_ARGUMENT, "experts is %u; expected 0 (auto), 1 (packed) or 2 (mapped)",
             raw.experts);
    if (raw.expert_numerics > DS4_EXPERT_NUMERICS_F32)
        fail(DS4_ERR_ARGUMENT,
             "expert_numerics is %u; expected 0 (auto), 1 (int8), 2 (bf16), 3 (fp8ref) or 4 (f32)",
             raw.expert_numerics);
    if (raw.expert_threads > 4096)
        fail(DS4_ERR_ARGUMENT, "expert_threads is %u; expected 0..4096", raw.expert_threads);
    if (raw.expert_parts > 64)
        fail(DS4_ERR_ARGUMENT, "expert_parts is %u; expected 0..64", raw.expert_parts);
    if (raw.expert_layers > 65536)
        fail(DS4_ERR_ARGUMENT, "expert_layers is %u; expected 0..65536", raw.expert_layers);
    ExpertOptions options;
    options.place = raw.experts;
    options.numerics = raw.expert_numerics;
    options.threads = int(raw.expert_threads);
    options.parts = int(raw.expert_parts);
    options.layers = int(raw.expert_layers);
    if (raw.expert_library != nullptr) options.library = raw.expert_library;
    return options;
}

} // namespace ds4
