// The instructions of kernel.h for nvcc.
#pragma once
#include <cstdint>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <cuda_runtime.h>

namespace ds4::device {

template <typename T> __device__ __forceinline__ T &shared_memory() {
    extern __shared__ __align__(128) unsigned char ds4_shared_memory[];
    return *reinterpret_cast<T *>(ds4_shared_memory);
}

// A place in shared memory as 32 bits, for loops in which the address costs as much as the work.
__device__ __forceinline__ uint32_t shared_address(const void *at) {
    uint32_t address = uint32_t(__cvta_generic_to_shared(at));
    asm("" : "+r"(address)); // it stays one term in sums
    return address;
}
__device__ __forceinline__ uint32_t shared_word(uint32_t address) {
    uint32_t word;
    asm volatile("ld.shared.u32 %0, [%1];" : "=r"(word) : "r"(address));
    return word;
}

// ---- order of kernels ----
// With LaunchShape::after_trigger a kernel begins when all blocks of its predecessor have called
// let_next_begin or ended. It must not read what the predecessor writes before await_previous.
__device__ __forceinline__ void await_previous() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
__device__ __forceinline__ void let_next_begin() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// ---- scalar formats ----
__device__ __forceinline__ float f16_to_float(uint16_t bits) {
    return __half2float(__ushort_as_half(bits));
}
__device__ __forceinline__ uint16_t float_to_f16(float value) {
    return __half_as_ushort(__float2half_rn(value));
}
__device__ __forceinline__ float bf16_to_float(uint16_t bits) {
    return __uint_as_float(uint32_t(bits) << 16);
}
__device__ __forceinline__ uint16_t float_to_bf16(float value) {
    return __bfloat16_as_ushort(__float2bfloat16_rn(value));
}
// Two values in one word, the first in the low half.
__device__ __forceinline__ uint32_t floats_to_bf16x2(float low, float high) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const uint32_t *>(&pair);
}
__device__ __forceinline__ uint32_t floats_to_f16x2(float low, float high) {
    const __half2 pair = __floats2half2_rn(low, high);
    return *reinterpret_cast<const uint32_t *>(&pair);
}
// Products of the low and of the high halves. Subnormal values are kept.
__device__ __forceinline__ uint32_t multiply_bf16x2(uint32_t a, uint32_t b) {
    uint32_t product;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(product) : "r"(a), "r"(b), "r"(0x80008000u));
    return product;
}
__device__ __forceinline__ uint32_t multiply_f16x2(uint32_t a, uint32_t b) {
    uint32_t product;
    asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(product) : "r"(a), "r"(b));
    return product;
}
// Two e4m3 codes (low byte first) to two f16 in one word. Exact.
__device__ __forceinline__ uint32_t e4m3x2_to_f16x2(uint16_t codes) {
    const __half2_raw pair = __nv_cvt_fp8x2_to_halfraw2(codes, __NV_E4M3);
    return uint32_t(pair.x) | uint32_t(pair.y) << 16;
}

// __byte_perm for a selector whose nibbles are 0..7. It need not be masked, which __byte_perm does.
__device__ __forceinline__ uint32_t pick_bytes(uint32_t low, uint32_t high, uint32_t selector) {
    uint32_t bytes;
    asm("prmt.b32 %0, %1, %2, %3;" : "=r"(bytes) : "r"(low), "r"(high), "r"(selector));
    return bytes;
}
// 0xff for each negative byte of a word, 0 for the others.
__device__ __forceinline__ uint32_t byte_signs(uint32_t word) {
    uint32_t signs;
    asm("prmt.b32 %0, %1, 0, 0xba98;" : "=r"(signs) : "r"(word));
    return signs;
}

// ---- products of tiles ----
// Fragments are those of mma.sync in the PTX manual. Lane l holds rows l / 4 and l / 4 + 8 of a and
// of the sum, and column l / 4 of b.
// sum [16, 8] += a [16, 32] b [32, 8], signed bytes.
__device__ __forceinline__ void mma_s8(int32_t (&sum)[4], const uint32_t (&a)[4],
                                       const uint32_t (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
                 "{%8,%9}, {%0,%1,%2,%3};"
                 : "+r"(sum[0]), "+r"(sum[1]), "+r"(sum[2]), "+r"(sum[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// sum [16, 8] += a [16, 16] b [16, 8], f32 sums.
__device__ __forceinline__ void mma_bf16(float (&sum)[4], const uint32_t (&a)[4],
                                         const uint32_t (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, "
                 "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ __forceinline__ void mma_f16(float (&sum)[4], const uint32_t (&a)[4],
                                        const uint32_t (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, "
                 "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// Four 8x8 tiles of 16-bit values from shared memory. Lane 8 i + r gives the address of row r of
// tile i, at a multiple of 16. Lane l gets the values 2 (l % 4) and + 1 of row l / 4 of each.
__device__ __forceinline__ void load_tiles(uint32_t (&tiles)[4], const void *row) {
    const uint32_t address = uint32_t(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(tiles[0]), "=r"(tiles[1]), "=r"(tiles[2]), "=r"(tiles[3])
                 : "r"(address)
                 : "memory");
}
// The same, each tile transposed.
__device__ __forceinline__ void load_tiles_transposed(uint32_t (&tiles)[4], const void *row) {
    const uint32_t address = uint32_t(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(tiles[0]), "=r"(tiles[1]), "=r"(tiles[2]), "=r"(tiles[3])
                 : "r"(address)
                 : "memory");
}

// ---- copies to shared memory that other work hides ----
// 16 bytes, both addresses at a multiple of 16; zeros where `valid` is false.
__device__ __forceinline__ void copy_async(void *to_shared, const void *from, bool valid = true) {
    const uint32_t address = uint32_t(__cvta_generic_to_shared(to_shared));
    const int bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from),
                 "r"(bytes)
                 : "memory");
}
// Four bytes, both addresses at a multiple of 4; zeros where `valid` is false.
__device__ __forceinline__ void copy_async_word(void *to_shared, const void *from,
                                                bool valid = true) {
    const uint32_t address = uint32_t(__cvta_generic_to_shared(to_shared));
    const int bytes = valid ? 4 : 0;
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(address), "l"(from),
                 "r"(bytes)
                 : "memory");
}
// The same with 8 bytes, at multiples of 8. It goes through the first-level cache.
__device__ __forceinline__ void copy_async_8(void *to_shared, const void *from, bool valid = true) {
    const uint32_t address = uint32_t(__cvta_generic_to_shared(to_shared));
    const int bytes = valid ? 8 : 0;
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(address), "l"(from),
                 "r"(bytes)
                 : "memory");
}
__device__ __forceinline__ void close_copies() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}
// Waits until at most `Open` of the groups that this thread closed are still on their way.
template <int Open> __device__ __forceinline__ void await_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(Open) : "memory");
}
// 16 bytes that are read once: they are not kept in the first-level cache.
__device__ __forceinline__ uint4 load_once(const uint4 *from) {
    uint4 value;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
                 : "l"(from));
    return value;
}

} // namespace ds4::device
