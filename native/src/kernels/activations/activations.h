// Rows of activations in the forms that products need (docs/numerics.md, three arithmetics).
#pragma once
#include <cstdint>

#include "device/device.h"

namespace ds4::kernels {

// Device memory; rows * cols values each. cols is a multiple of 32.
struct Activations {
    int32_t rows = 0, cols = 0;
    const float *values = nullptr;    // [rows, cols] f32, always there
    const int8_t *quants = nullptr;   // [rows, cols]; null: products take f32
    const float *scales = nullptr;    // [rows, cols / 32] of the quants: amax / 127, 0 for zeros
    const uint16_t *halves = nullptr; // [rows, cols] bf16, for FP8 weights; null: they take f32
};

struct QuantiseParams {
    const float *values; // [rows, cols] f32
    int32_t rows, cols;
    int8_t *quants;   // nullable; the same codes as backend/cpu/kernels quantises to
    float *scales;    // nullable with quants
    uint16_t *halves; // nullable; magnitudes below 2^-100 are zero
};
void quantise(const QuantiseParams &params, device::Stream &stream);

} // namespace ds4::kernels
