// All that a kernel may use of the machine, for nvcc and for the emulation. A kernel is written in
// plain CUDA with three rules, so that both can run it:
// - shared memory is dynamic and has a type: shared_memory<Tile>();
// - warp functions are called by all 32 threads of a warp, with the full mask;
// - instructions without a CUDA function of their own have a function here.
#pragma once
#include <cstdint>

#ifdef DS4_EMULATED_GPU
#include "device/emulated/cuda_names.h"
#include "device/emulated/instructions.h"
#else
#include "device/cuda/instructions.h"
#endif

namespace ds4::device {

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;

__device__ __forceinline__ int lane() { return int(threadIdx.x & 31u); }
__device__ __forceinline__ int warp() { return int(threadIdx.x >> 5); }

__device__ __forceinline__ float warp_sum(float value) {
    for (int step = 16; step > 0; step >>= 1) value += __shfl_xor_sync(kAllLanes, value, step);
    return value;
}
__device__ __forceinline__ float warp_max(float value) {
    for (int step = 16; step > 0; step >>= 1)
        value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, step));
    return value;
}
__device__ __forceinline__ double warp_sum(double value) {
    for (int step = 16; step > 0; step >>= 1) value += __shfl_xor_sync(kAllLanes, value, step);
    return value;
}

// Sums over a block in one fixed order: lanes of a warp by halves, then the warps in order.
// scratch: shared, [warps]. All threads get the sum; they must all call it, and may call it again
// at once.
template <typename T> __device__ __forceinline__ T block_sum(T value, T *scratch) {
    value = warp_sum(value);
    __syncthreads();
    if (lane() == 0) scratch[warp()] = value;
    __syncthreads();
    const int warps = int(blockDim.x >> 5);
    T sum = scratch[0];
    for (int w = 1; w < warps; w++) sum += scratch[w];
    return sum;
}

} // namespace ds4::device
