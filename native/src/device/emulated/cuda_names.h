// The names of CUDA C++ that kernels use, for a host compiler.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "device/emulated/block.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define threadIdx (ds4::device::emulated::current().thread_index)
#define blockIdx (ds4::device::emulated::current().block_index)
#define blockDim (ds4::device::emulated::current().block_dim)
#define gridDim (ds4::device::emulated::current().grid_dim)

struct alignas(16) uint4 {
    uint32_t x, y, z, w;
};
struct alignas(8) uint2 {
    uint32_t x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) int4 {
    int32_t x, y, z, w;
};
struct alignas(8) int2 {
    int32_t x, y;
};
inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w) { return {x, y, z, w}; }
inline uint2 make_uint2(uint32_t x, uint32_t y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline int2 make_int2(int32_t x, int32_t y) { return {x, y}; }

using std::max;
using std::min;

inline void __syncthreads() { ds4::device::emulated::block_barrier(); }
inline void __syncwarp(unsigned = 0xffffffffu) { ds4::device::emulated::warp_barrier(); }
inline void __threadfence() {}
inline void __threadfence_block() {}

template <typename T> T __shfl_sync(unsigned mask, T value, int source) {
    return ds4::device::emulated::exchange(mask, value, source & 31);
}
template <typename T> T __shfl_xor_sync(unsigned mask, T value, int step) {
    return ds4::device::emulated::exchange(mask, value, (int(threadIdx.x & 31u) ^ step) & 31);
}
template <typename T> T __shfl_up_sync(unsigned mask, T value, int step) {
    const int lane = int(threadIdx.x & 31u), source = lane - step;
    return ds4::device::emulated::exchange(mask, value, source < 0 ? lane : source);
}
template <typename T> T __shfl_down_sync(unsigned mask, T value, int step) {
    const int lane = int(threadIdx.x & 31u), source = lane + step;
    return ds4::device::emulated::exchange(mask, value, source > 31 ? lane : source);
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
    return ds4::device::emulated::gather<unsigned>(
        mask, unsigned(predicate != 0), 0u,
        [](unsigned sum, unsigned bit, int lane) { return sum | bit << lane; });
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) {
    return __ballot_sync(mask, predicate) == 0xffffffffu;
}
template <typename T> T __reduce_add_sync(unsigned mask, T value) {
    return ds4::device::emulated::gather<T>(mask, value, T(0),
                                            [](T sum, T next, int) { return T(sum + next); });
}
template <typename T> T __reduce_max_sync(unsigned mask, T value) {
    return ds4::device::emulated::gather<T>(
        mask, value, value, [](T most, T next, int) { return most > next ? most : next; });
}
template <typename T> T __reduce_min_sync(unsigned mask, T value) {
    return ds4::device::emulated::gather<T>(
        mask, value, value, [](T least, T next, int) { return least < next ? least : next; });
}

// Threads of all blocks take turns on one host thread: plain operations are atomic.
template <typename T> T atomicAdd(T *at, T value) {
    const T old = *at;
    *at = T(old + value);
    return old;
}
template <typename T> T atomicMax(T *at, T value) {
    const T old = *at;
    if (value > old) *at = value;
    return old;
}
template <typename T> T atomicMin(T *at, T value) {
    const T old = *at;
    if (value < old) *at = value;
    return old;
}
template <typename T> T atomicOr(T *at, T value) {
    const T old = *at;
    *at = old | value;
    return old;
}
template <typename T> T atomicExch(T *at, T value) {
    const T old = *at;
    *at = value;
    return old;
}
template <typename T> T atomicCAS(T *at, T expected, T value) {
    const T old = *at;
    if (old == expected) *at = value;
    return old;
}

template <typename T> T __ldg(const T *at) { return *at; }
inline float __uint_as_float(uint32_t bits) { return __builtin_bit_cast(float, bits); }
inline uint32_t __float_as_uint(float value) { return __builtin_bit_cast(uint32_t, value); }
inline float __int_as_float(int32_t bits) { return __builtin_bit_cast(float, bits); }
inline int32_t __float_as_int(float value) { return __builtin_bit_cast(int32_t, value); }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsqrt_rn(float a) { return std::sqrt(a); }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline int __float2int_rn(float x) { return int(std::nearbyintf(x)); }
inline int __popc(uint32_t x) { return __builtin_popcount(x); }
inline int __clz(int32_t x) { return x == 0 ? 32 : __builtin_clz(uint32_t(x)); }
inline int __ffs(int32_t x) { return __builtin_ffs(x); }
inline uint32_t __umulhi(uint32_t a, uint32_t b) { return uint32_t((uint64_t(a) * b) >> 32); }
inline uint64_t __umul64hi(uint64_t a, uint64_t b) {
    return uint64_t((static_cast<unsigned __int128>(a) * b) >> 64);
}
// Selects four of the eight bytes of `high:low` by the low three bits of the selector's nibbles.
inline uint32_t __byte_perm(uint32_t low, uint32_t high, uint32_t selector) {
    const uint64_t bytes = uint64_t(high) << 32 | low;
    uint32_t out = 0;
    for (int i = 0; i < 4; i++)
        out |= (uint32_t(bytes >> (8 * (selector >> (4 * i) & 7u))) & 0xffu) << (8 * i);
    return out;
}
inline int __dp4a(int32_t a, int32_t b, int32_t sum) {
    for (int i = 0; i < 4; i++) sum += int(int8_t(a >> (8 * i))) * int(int8_t(b >> (8 * i)));
    return sum;
}
inline uint32_t __funnelshift_r(uint32_t low, uint32_t high, uint32_t shift) {
    return uint32_t((uint64_t(high) << 32 | low) >> (shift & 31u));
}
