// The embedding of a step's tokens, the same in all streams.
#pragma once
#include "device/device.h"
#include "kernels/matmul/packed_matrix.h"
#include "kernels/step/step_table.h"

namespace ds4::kernels {

struct EmbedParams {
    StepTable step;
    const uint8_t *rows;   // of the embedding table, as in the file: [vocab, row bytes]
    const uint8_t *scales; // F8_E4M3: [ceil(vocab / 128), ceil(hidden / 128)]; FP4_PACKED: [vocab,
                           // hidden / 32]; else null
    uint32_t type;         // any that decode_row of format/convert.h takes
    int32_t hidden, streams, vocab; // hidden: a multiple of 32
    float *out; // [rows, streams, hidden] f32. The row of an id outside the vocabulary is 0.
};
void embed(const EmbedParams &params, device::Stream &stream);

} // namespace ds4::kernels
