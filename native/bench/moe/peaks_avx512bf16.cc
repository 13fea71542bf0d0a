#include <immintrin.h>

#include "moe/peaks.h"

namespace ds4::bench {
namespace {

bool supported() { return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bf16"); }

double bf16_dot(uint64_t rounds) {
    constexpr int kSums = 16;
    __m512 sums[kSums];
    for (int i = 0; i < kSums; i++) sums[i] = _mm512_setzero_ps();
    __m512i left = _mm512_set1_epi32(0x3fc03fc0), right = _mm512_set1_epi32(0x3f003f00); // bf16 1.5 and 0.5
    for (uint64_t round = 0; round < rounds; round++) {
        __asm__ volatile("" : "+v"(left), "+v"(right));
#pragma GCC unroll 16
        for (int i = 0; i < kSums; i++) sums[i] = _mm512_dpbf16_ps(sums[i], reinterpret_cast<__m512bh>(left), reinterpret_cast<__m512bh>(right));
    }
    for (int i = 0; i < kSums; i++) __asm__ volatile("" : : "v"(sums[i]));
    return double(rounds) * kSums * 32 * 2;
}

} // namespace

const PeakLoop kBf16Dot = {"vdpbf16ps", supported, bf16_dot};

} // namespace ds4::bench
