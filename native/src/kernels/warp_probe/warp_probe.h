// A kernel for tests: it shows that the instructions of device/kernel.h do what they say, on a GPU
// and in the emulation.
#pragma once
#include <cstdint>

#include "device/device.h"

namespace ds4::kernels {

enum class WarpProbe : int32_t {
    block_sum,
    mma_s8,
    mma_bf16,
    mma_f16,
    tiles,
    tiles_transposed,
    bf16_products, // out[i]: of 8 i as bits and 2^120; negative from i = 16 on
    f16_products,  // out[i]: of the same bits and 2^8
    bytes          // out[i]: byte i % 4 of what byte_signs and then __byte_perm make
};

// Small integers, so that products are exact in every type.
inline constexpr int probe_a(int row, int k) { return (row * 5 + k * 3) % 11 - 5; }
inline constexpr int probe_b(int k, int column) { return (k * 7 + column * 2) % 9 - 4; }

struct WarpProbeParams {
    WarpProbe what;
    float *out; // [blocks * threads]
};
void warp_probe(const WarpProbeParams &params, int blocks, int threads, device::Stream &stream);

} // namespace ds4::kernels
