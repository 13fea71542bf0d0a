// Sums and choices over the threads of a block, in a fixed order.
#pragma once
#include "device/kernel.h"

namespace ds4::kernels {

// Sum over the warps before this one of a value that all lanes of a warp have; `all`: over all
// warps. Every thread calls it. scratch: shared, [warps].
template <typename T> __device__ __forceinline__ T warps_before(T value, T *scratch, T &all) {
    using namespace device;
    __syncthreads();
    if (lane() == 0) scratch[warp()] = value;
    __syncthreads();
    T through = lane() < int(blockDim.x) / kWarp ? scratch[lane()] : T(0);
    for (int step = 1; step < kWarp; step *= 2) {
        const T other = __shfl_up_sync(kAllLanes, through, step);
        if (lane() >= step) through += other;
    }
    all = __shfl_sync(kAllLanes, through, kWarp - 1);
    const T before = __shfl_sync(kAllLanes, through, warp() == 0 ? 0 : warp() - 1);
    return warp() == 0 ? T(0) : before;
}

// The same over the threads before this one.
template <typename T> __device__ __forceinline__ T sum_before(T value, T *scratch, T &all) {
    using namespace device;
    T through = value;
    for (int step = 1; step < kWarp; step *= 2) {
        const T other = __shfl_up_sync(kAllLanes, through, step);
        if (lane() >= step) through += other;
    }
    const T of_warp = __shfl_sync(kAllLanes, through, kWarp - 1);
    return warps_before(of_warp, scratch, all) + through - value;
}

// combine over all threads, which all get it. combine must be commutative and associative.
template <typename T, typename Combine>
__device__ __forceinline__ T block_reduce(T value, T *scratch, const Combine &combine) {
    using namespace device;
    for (int step = kWarp / 2; step > 0; step /= 2)
        value = combine(value, __shfl_xor_sync(kAllLanes, value, step));
    __syncthreads();
    if (lane() == 0) scratch[warp()] = value;
    __syncthreads();
    const int warps = int(blockDim.x) / kWarp;
    T all = scratch[0];
    for (int w = 1; w < warps; w++) all = combine(all, scratch[w]);
    return all;
}

} // namespace ds4::kernels
