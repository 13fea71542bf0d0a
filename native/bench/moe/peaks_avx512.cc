#include <immintrin.h>

#include "moe/peaks.h"

namespace ds4::bench {
namespace {

bool supported() { return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vnni"); }

double vnni(uint64_t rounds) {
    constexpr int kSums = 16;
    __m512i sums[kSums] = {};
    __m512i codes = _mm512_set1_epi8(3), values = _mm512_set1_epi8(5);
    for (uint64_t round = 0; round < rounds; round++) {
        __asm__ volatile("" : "+v"(codes), "+v"(values));
#pragma GCC unroll 16
        for (int i = 0; i < kSums; i++) sums[i] = _mm512_dpbusd_epi32(sums[i], codes, values);
    }
    for (int i = 0; i < kSums; i++) __asm__ volatile("" : : "v"(sums[i]));
    return double(rounds) * kSums * 64 * 2;
}

} // namespace

const PeakLoop kVnni = {"vpdpbusd", supported, vnni};

} // namespace ds4::bench
