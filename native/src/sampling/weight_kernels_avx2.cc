#include <immintrin.h>

#include "sampling/weight.h"
#include "sampling/weight_kernels.h"

namespace ds4 {
namespace {

constexpr int kLanes = 8;

// Lanes whose bits are those of a finite number.
__m256 finite(__m256 x) {
    const __m256 magnitude = _mm256_and_ps(x, _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff)));
    return _mm256_cmp_ps(magnitude, _mm256_set1_ps(__builtin_inff()), _CMP_LT_OQ);
}

float largest(const float *logits, int64_t count) {
    const __m256 nothing = _mm256_set1_ps(-__builtin_inff());
    __m256 best = nothing;
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
        const __m256 x = _mm256_loadu_ps(logits + i);
        best = _mm256_max_ps(best, _mm256_blendv_ps(nothing, x, finite(x)));
    }
    alignas(32) float lanes[kLanes];
    _mm256_store_ps(lanes, best);
    float result = lanes[0];
    for (const float lane : lanes) result = lane > result ? lane : result;
    for (; i < count; i++)
        if (__builtin_isfinite(logits[i]) && logits[i] > result) result = logits[i];
    return result;
}

__m256 exp_minus_lanes(__m256 d) {
    const __m256 rounder = _mm256_set1_ps(kRounder), log2e = _mm256_set1_ps(kLog2E);
    const __m256 n = _mm256_sub_ps(_mm256_fnmadd_ps(d, log2e, rounder), rounder);
    const __m256 f = _mm256_fnmadd_ps(d, _mm256_set1_ps(kLog2ERest), _mm256_fnmsub_ps(d, log2e, n));
    __m256 p = _mm256_set1_ps(kExp2[6]);
    for (int i = 5; i >= 0; i--) p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(kExp2[i]));
    const __m256i exponent =
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvttps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(p, _mm256_castsi256_ps(exponent));
}

struct Sums { // of the two digits of fixed-point weights
    __m256i high = _mm256_setzero_si256(), low = _mm256_setzero_si256();

    void add(__m256 weight) {
        const __m256 digit = _mm256_set1_ps(0x1p20f), scaled = _mm256_mul_ps(weight, digit);
        const __m256i top = _mm256_cvttps_epi32(scaled);
        const __m256 rest = _mm256_sub_ps(scaled, _mm256_cvtepi32_ps(top));
        high = _mm256_add_epi32(high, top);
        low = _mm256_add_epi32(low, _mm256_cvttps_epi32(_mm256_mul_ps(rest, digit)));
    }
    uint64_t total() const {
        alignas(32) int32_t highs[kLanes], lows[kLanes];
        _mm256_store_si256(reinterpret_cast<__m256i *>(highs), high);
        _mm256_store_si256(reinterpret_cast<__m256i *>(lows), low);
        uint64_t sum = 0;
        for (int i = 0; i < kLanes; i++) sum += (uint64_t(highs[i]) << 20) + uint64_t(lows[i]);
        return sum;
    }
};

WeightSums weigh(const float *logits, int64_t count, float largest, float temperature, float min_p,
                 float *out) {
    Sums all, near;
    const __m256 top = _mm256_set1_ps(largest), divisor = _mm256_set1_ps(temperature);
    const auto weight_of = [&](const float *from) {
        const __m256 x = _mm256_loadu_ps(from);
        const __m256 d = _mm256_div_ps(_mm256_sub_ps(top, x), divisor);
        __m256 keep =
            _mm256_and_ps(finite(x), _mm256_cmp_ps(d, _mm256_set1_ps(kWeightReach), _CMP_LT_OQ));
        const __m256 weight = exp_minus_lanes(_mm256_and_ps(d, keep));
        keep = _mm256_and_ps(keep, _mm256_cmp_ps(weight, _mm256_set1_ps(min_p), _CMP_NLT_UQ));
        const __m256 kept = _mm256_and_ps(weight, keep);
        all.add(kept);
        near.add(_mm256_and_ps(kept, _mm256_cmp_ps(kept, _mm256_set1_ps(kNearWeight), _CMP_GE_OQ)));
        return kept;
    };
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) _mm256_storeu_ps(out + i, weight_of(logits + i));
    if (i < count) {
        float rest[kLanes], weights[kLanes];
        for (int lane = 0; lane < kLanes; lane++)
            rest[lane] = i + lane < count ? logits[i + lane] : -__builtin_inff();
        _mm256_storeu_ps(weights, weight_of(rest));
        for (int lane = 0; i + lane < count; lane++) out[i + lane] = weights[lane];
    }
    return {all.total(), near.total()};
}

} // namespace

const WeightKernels kWeightKernelsAvx2 = {largest, weigh};

} // namespace ds4
