// A kernel for tests: it shows that the encoders of cache rows write the bytes of the CPU.
#pragma once
#include "device/device.h"
#include "kernels/step/step_table.h"

namespace ds4::kernels {

enum class RowProbe : int32_t { kv_row, index_row, rounded_index_row };

struct RowProbeParams {
    RowProbe what;
    const float *x; // [rows, format.channels]
    int32_t rows;
    RowFormat format;
    uint8_t *out; // [rows, format.bytes], or f32 [rows, format.channels] of rounded index rows
};
void row_probe(const RowProbeParams &params, device::Stream &stream);

} // namespace ds4::kernels
