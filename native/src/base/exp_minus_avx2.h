// exp_minus of eight lanes, with the bits of the scalar form below kExpReach. The caller leaves out
// what lies beyond. A NaN stays one.
#pragma once
#include "base/exp_minus.h"

#include <immintrin.h>

namespace ds4 {

static inline __m256 exp_minus_lanes(__m256 d) {
    const __m256 rounder = _mm256_set1_ps(kRounder), log2e = _mm256_set1_ps(kLog2E);
    const __m256 n = _mm256_sub_ps(_mm256_fnmadd_ps(d, log2e, rounder), rounder);
    const __m256 f = _mm256_fnmadd_ps(d, _mm256_set1_ps(kLog2ERest), _mm256_fnmsub_ps(d, log2e, n));
    __m256 p = _mm256_set1_ps(kExp2[6]);
#pragma GCC unroll 6
    for (int i = 5; i >= 0; i--) p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(kExp2[i]));
    const __m256i exponent =
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvttps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(p, _mm256_castsi256_ps(exponent));
}

} // namespace ds4
