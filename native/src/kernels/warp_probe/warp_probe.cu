#include "kernels/warp_probe/warp_probe.h"

#include "device/kernel.h"
#include "device/launch.h"

namespace ds4::kernels {
namespace {

using namespace ds4::device;

struct Scratch {
    float sums[32];
    alignas(16) uint16_t tile[64];
};

__device__ uint32_t small_bits(int i) { return uint32_t(i * 8 + i / 16 * 0x8000) & 0xffffu; }
__device__ uint32_t bytes_of_a(int row, int k) {
    uint32_t word = 0;
    for (int i = 0; i < 4; i++)
        word |= uint32_t(uint8_t(int8_t((row * 5 + (k + i) * 3) % 11 - 5))) << (8 * i);
    return word;
}
__device__ uint32_t bytes_of_b(int k, int column) {
    uint32_t word = 0;
    for (int i = 0; i < 4; i++)
        word |= uint32_t(uint8_t(int8_t(((k + i) * 7 + column * 2) % 9 - 4))) << (8 * i);
    return word;
}
__device__ float value_of_a(int row, int k) { return float((row * 5 + k * 3) % 11 - 5); }
__device__ float value_of_b(int k, int column) { return float((k * 7 + column * 2) % 9 - 4); }

__device__ void store_sums(float *out, const float (&sum)[4]) {
    const int row = lane() / 4, column = lane() % 4 * 2;
    for (int i = 0; i < 4; i++) out[(row + i / 2 * 8) * 8 + column + i % 2] = sum[i];
}

__device__ void multiply_bytes(float *out) {
    const int row = lane() / 4, k = lane() % 4 * 4;
    const uint32_t a[4] = {bytes_of_a(row, k), bytes_of_a(row + 8, k), bytes_of_a(row, k + 16),
                           bytes_of_a(row + 8, k + 16)};
    const uint32_t b[2] = {bytes_of_b(k, row), bytes_of_b(k + 16, row)};
    int32_t sum[4] = {};
    mma_s8(sum, a, b);
    const float sums[4] = {float(sum[0]), float(sum[1]), float(sum[2]), float(sum[3])};
    store_sums(out, sums);
}

__device__ void multiply_halves(float *out, bool is_bf16) {
    const int row = lane() / 4, k = lane() % 4 * 2;
    const auto pair = [&](float low, float high) {
        return is_bf16 ? floats_to_bf16x2(low, high) : floats_to_f16x2(low, high);
    };
    uint32_t a[4], b[2];
    for (int i = 0; i < 4; i++) {
        const int r = row + i % 2 * 8, first = k + i / 2 * 8;
        a[i] = pair(value_of_a(r, first), value_of_a(r, first + 1));
    }
    for (int i = 0; i < 2; i++)
        b[i] = pair(value_of_b(k + i * 8, row), value_of_b(k + i * 8 + 1, row));
    float sum[4] = {};
    if (is_bf16)
        mma_bf16(sum, a, b);
    else
        mma_f16(sum, a, b);
    store_sums(out, sum);
}

__global__ void warp_probe_kernel(WarpProbeParams p) {
    Scratch &shared = shared_memory<Scratch>();
    const int thread = int(blockIdx.x * blockDim.x + threadIdx.x);
    if (p.what == WarpProbe::block_sum) {
        p.out[thread] = block_sum(float(threadIdx.x), shared.sums);
        return;
    }
    if (p.what == WarpProbe::bf16_products) {
        const uint32_t small = small_bits(thread);
        p.out[thread] = bf16_to_float(uint16_t(multiply_bf16x2(small << 16, 0x7b800000u) >> 16));
        return;
    }
    if (p.what == WarpProbe::bytes) {
        const uint32_t word = thread % 8 < 4 ? byte_signs(0x807fff00u)
                                             : __byte_perm(0x83828180u, 0x07060504u, 0x85fau);
        p.out[thread] = float(word >> (8 * (thread % 4)) & 0xffu);
        return;
    }
    if (p.what == WarpProbe::f16_products) {
        const uint32_t small = small_bits(thread);
        p.out[thread] = f16_to_float(uint16_t(multiply_f16x2(small << 16, 0x5c000000u) >> 16));
        return;
    }
    if (warp() > 0) return;
    if (p.what == WarpProbe::mma_s8) multiply_bytes(p.out);
    if (p.what == WarpProbe::mma_bf16) multiply_halves(p.out, true);
    if (p.what == WarpProbe::mma_f16) multiply_halves(p.out, false);
    if (p.what != WarpProbe::tiles && p.what != WarpProbe::tiles_transposed) return;
    for (int i = lane(); i < 64; i += 32) shared.tile[i] = float_to_f16(float(i));
    __syncwarp();
    uint32_t tiles[4];
    if (p.what == WarpProbe::tiles)
        load_tiles(tiles, &shared.tile[lane() % 8 * 8]);
    else
        load_tiles_transposed(tiles, &shared.tile[lane() % 8 * 8]);
    p.out[thread] = f16_to_float(uint16_t(tiles[3] >> 16));
}

} // namespace

void warp_probe(const WarpProbeParams &params, int blocks, int threads, device::Stream &stream) {
    launch(warp_probe_kernel,
           {.blocks = blocks, .threads = threads, .shared_bytes = sizeof(Scratch)}, stream, params);
}

} // namespace ds4::kernels
