#include <immintrin.h>

#include "sampling/weight.h"
#include "sampling/weight_kernels.h"

namespace ds4 {
namespace {

constexpr int kLanes = 16;

__mmask16 finite(__m512 x) {
    return _mm512_cmp_ps_mask(_mm512_abs_ps(x), _mm512_set1_ps(__builtin_inff()), _CMP_LT_OQ);
}

__mmask16 lanes_below(int64_t count) {
    return count >= kLanes ? __mmask16(0xffff) : __mmask16((1u << count) - 1);
}

float largest(const float *logits, int64_t count) {
    const __m512 nothing = _mm512_set1_ps(-__builtin_inff());
    __m512 best = nothing;
    for (int64_t i = 0; i < count; i += kLanes) {
        const __m512 x = _mm512_mask_loadu_ps(nothing, lanes_below(count - i), logits + i);
        best = _mm512_mask_max_ps(best, finite(x), best, x);
    }
    return _mm512_reduce_max_ps(best);
}

__m512 exp_minus_lanes(__m512 d) {
    const __m512 rounder = _mm512_set1_ps(kRounder), log2e = _mm512_set1_ps(kLog2E);
    const __m512 n = _mm512_sub_ps(_mm512_fnmadd_ps(d, log2e, rounder), rounder);
    const __m512 f = _mm512_fnmadd_ps(d, _mm512_set1_ps(kLog2ERest), _mm512_fnmsub_ps(d, log2e, n));
    __m512 p = _mm512_set1_ps(kExp2[6]);
    for (int i = 5; i >= 0; i--) p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(kExp2[i]));
    const __m512i exponent =
        _mm512_slli_epi32(_mm512_add_epi32(_mm512_cvttps_epi32(n), _mm512_set1_epi32(127)), 23);
    return _mm512_mul_ps(p, _mm512_castsi512_ps(exponent));
}

// Sums of the two digits of fixed-point weights.
struct Sums {
    __m512i high = _mm512_setzero_si512(), low = _mm512_setzero_si512();

    uint64_t total() const {
        alignas(64) int32_t highs[kLanes], lows[kLanes];
        _mm512_store_si512(highs, high);
        _mm512_store_si512(lows, low);
        uint64_t sum = 0;
        for (int i = 0; i < kLanes; i++) sum += (uint64_t(highs[i]) << 20) + uint64_t(lows[i]);
        return sum;
    }
};

WeightSums weigh(const float *logits, int64_t count, float largest, float temperature, float min_p,
                 float *out) {
    const __m512 top = _mm512_set1_ps(largest), divisor = _mm512_set1_ps(temperature),
                 nothing = _mm512_set1_ps(-__builtin_inff()), digit = _mm512_set1_ps(0x1p20f);
    Sums all, near;
    for (int64_t i = 0; i < count; i += kLanes) {
        const __mmask16 inside = lanes_below(count - i);
        const __m512 x = _mm512_mask_loadu_ps(nothing, inside, logits + i);
        const __m512 d = _mm512_div_ps(_mm512_sub_ps(top, x), divisor);
        __mmask16 keep =
            _mm512_mask_cmp_ps_mask(finite(x), d, _mm512_set1_ps(kWeightReach), _CMP_LT_OQ);
        const __m512 weight = exp_minus_lanes(_mm512_maskz_mov_ps(keep, d));
        keep = _mm512_mask_cmp_ps_mask(keep, weight, _mm512_set1_ps(min_p), _CMP_NLT_UQ);
        const __m512 kept = _mm512_maskz_mov_ps(keep, weight), scaled = _mm512_mul_ps(kept, digit);
        _mm512_mask_storeu_ps(out + i, inside, kept);
        const __m512i whole = _mm512_cvttps_epi32(scaled);
        const __m512 rest = _mm512_sub_ps(scaled, _mm512_cvtepi32_ps(whole));
        const __m512i part = _mm512_cvttps_epi32(_mm512_mul_ps(rest, digit));
        const __mmask16 is_near = _mm512_cmp_ps_mask(kept, _mm512_set1_ps(kNearWeight), _CMP_GE_OQ);
        all.high = _mm512_add_epi32(all.high, whole);
        all.low = _mm512_add_epi32(all.low, part);
        near.high = _mm512_mask_add_epi32(near.high, is_near, near.high, whole);
        near.low = _mm512_mask_add_epi32(near.low, is_near, near.low, part);
    }
    return {all.total(), near.total()};
}

} // namespace

const WeightKernels kWeightKernelsAvx512 = {largest, weigh};

} // namespace ds4
