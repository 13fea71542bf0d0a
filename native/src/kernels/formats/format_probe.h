// A kernel for tests: the values of a packed matrix as its format decodes them.
#pragma once
#include <cstdint>

#include "device/device.h"

namespace ds4::kernels {

enum class DecodedBy : int32_t {
    values,      // Format::values
    codes,       // scale * code - minimum scale * minimum
    shared_codes // the same, codes by way of the table in shared memory
};

struct FormatProbeParams {
    const uint8_t *packed; // a whole matrix
    int64_t tiles;         // of a strip
    DecodedBy by;
    float *out; // [strips * 16, tiles * 128]
};
// One of IQ2_XXS, Q2_K, Q4_K, MXFP4, FP4_PACKED.
void format_probe(uint32_t type, int64_t strips, const FormatProbeParams &params,
                  device::Stream &stream);

} // namespace ds4::kernels
