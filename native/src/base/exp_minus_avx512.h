// exp_minus of sixteen lanes, with the bits of the scalar form below kExpReach. The caller leaves
// out what lies beyond. A NaN stays one.
#pragma once
#include "base/exp_minus.h"

#include <immintrin.h>

namespace ds4 {

static inline __m512 exp_minus_lanes(__m512 d) {
    const __m512 rounder = _mm512_set1_ps(kRounder), log2e = _mm512_set1_ps(kLog2E);
    const __m512 n = _mm512_sub_ps(_mm512_fnmadd_ps(d, log2e, rounder), rounder);
    const __m512 f = _mm512_fnmadd_ps(d, _mm512_set1_ps(kLog2ERest), _mm512_fnmsub_ps(d, log2e, n));
    __m512 p = _mm512_set1_ps(kExp2[6]);
#pragma GCC unroll 6
    for (int i = 5; i >= 0; i--) p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(kExp2[i]));
    const __m512i exponent =
        _mm512_slli_epi32(_mm512_add_epi32(_mm512_cvttps_epi32(n), _mm512_set1_epi32(127)), 23);
    return _mm512_mul_ps(p, _mm512_castsi512_ps(exponent));
}

} // namespace ds4
