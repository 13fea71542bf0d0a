#include <immintrin.h>

#include "base/exp_minus_avx512.h"
#include "sampling/weight.h"
#include "sampling/weight_kernels.h"

namespace ds4 {
namespace {

constexpr int kLanes = 16;
constexpr float kInfinity = __builtin_inff();

__mmask16 finite(__m512 x) {
    return _mm512_cmp_ps_mask(_mm512_abs_ps(x), _mm512_set1_ps(kInfinity), _CMP_LT_OQ);
}

__mmask16 lanes_below(int64_t count) {
    return count >= kLanes ? __mmask16(0xffff) : __mmask16((1u << count) - 1);
}

LogitRange range(const float *logits, int64_t count) {
    const __m512 nothing = _mm512_set1_ps(-kInfinity);
    __m512 largest = nothing, smallest = _mm512_set1_ps(kInfinity);
    for (int64_t i = 0; i < count; i += kLanes) {
        const __m512 x = _mm512_mask_loadu_ps(nothing, lanes_below(count - i), logits + i);
        const __mmask16 some = finite(x);
        largest = _mm512_mask_max_ps(largest, some, largest, x);
        smallest = _mm512_mask_min_ps(smallest, some, smallest, x);
    }
    return {_mm512_reduce_max_ps(largest), _mm512_reduce_min_ps(smallest)};
}

struct Weighed { // 16 logits
    __m512 distance, weight;
    __mmask16 finite, weighs; // weighs: within kWeightReach; the others' weight is 0
};

Weighed weigh_lanes(__m512 x, __m512 largest, __m512 temperature) {
    Weighed out;
    out.finite = finite(x);
    const __m512 d = _mm512_div_ps(_mm512_sub_ps(largest, x), temperature);
    out.weighs = _mm512_mask_cmp_ps_mask(out.finite, d, _mm512_set1_ps(kWeightReach), _CMP_LT_OQ);
    out.distance = _mm512_maskz_mov_ps(out.weighs, d);
    out.weight = _mm512_maskz_mov_ps(out.weighs, exp_minus_lanes(out.distance));
    return out;
}

// Fixed-point weights, of which [0] has the first eight lanes.
struct Fixed {
    __m512i half[2];

    explicit Fixed(__m512 weight) {
        const __m512 scaled = _mm512_mul_ps(weight, _mm512_set1_ps(0x1p40f));
        half[0] = _mm512_cvttps_epi64(_mm512_castps512_ps256(scaled));
        half[1] = _mm512_cvttps_epi64(_mm512_extractf32x8_ps(scaled, 1));
    }
};

uint64_t weigh(const float *logits, int64_t count, float largest, float temperature, float min_p,
               float *out) {
    const __m512 top = _mm512_set1_ps(largest), divisor = _mm512_set1_ps(temperature),
                 nothing = _mm512_set1_ps(-kInfinity);
    __m512i sum = _mm512_setzero_si512();
    for (int64_t i = 0; i < count; i += kLanes) {
        const __mmask16 inside = lanes_below(count - i);
        const Weighed w =
            weigh_lanes(_mm512_mask_loadu_ps(nothing, inside, logits + i), top, divisor);
        const __mmask16 keep = _mm512_cmp_ps_mask(w.weight, _mm512_set1_ps(min_p), _CMP_NLT_UQ);
        const __m512 kept = _mm512_maskz_mov_ps(keep, w.weight);
        _mm512_mask_storeu_ps(out + i, inside, kept);
        const Fixed fixed(kept);
        sum = _mm512_add_epi64(sum, _mm512_add_epi64(fixed.half[0], fixed.half[1]));
    }
    return uint64_t(_mm512_reduce_add_epi64(sum));
}

float bucket(const float *logits, int64_t count, const WeightScale &scale, uint16_t *buckets,
             uint64_t *histogram) {
    const __m512 top = _mm512_set1_ps(scale.largest), divisor = _mm512_set1_ps(scale.temperature),
                 nothing = _mm512_set1_ps(-kInfinity),
                 per_unit = _mm512_set1_ps(scale.buckets_per_unit);
    __m512 cut = nothing;
    alignas(64) uint64_t weights[kLanes];
    alignas(64) uint32_t sums[kLanes];
    const __m512i lane =
        _mm512_and_si512(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                         _mm512_set1_epi32(kBucketLanes - 1));
    for (int64_t i = 0; i < count; i += kLanes) {
        const __mmask16 inside = lanes_below(count - i);
        const __m512 x = _mm512_mask_loadu_ps(nothing, inside, logits + i);
        const Weighed w = weigh_lanes(x, top, divisor);
        const __mmask16 below =
            _mm512_mask_cmp_ps_mask(w.finite, w.weight, _mm512_set1_ps(scale.min_p), _CMP_LT_OQ);
        cut = _mm512_mask_max_ps(cut, below, cut, x);
        const __m512i within = _mm512_cvttps_epi32(_mm512_min_ps(
            _mm512_mul_ps(w.distance, per_unit), _mm512_set1_ps(float(kWeightBuckets - 1))));
        const __m512i place =
            _mm512_mask_mov_epi32(_mm512_set1_epi32(kWeightless), w.weighs, within);
        _mm512_mask_cvtepi32_storeu_epi16(buckets + i, inside, place);
        _mm512_store_si512(
            sums,
            _mm512_add_epi32(_mm512_mullo_epi32(place, _mm512_set1_epi32(kBucketLanes)), lane));
        const Fixed fixed(w.weight);
        _mm512_store_si512(weights, fixed.half[0]);
        _mm512_store_si512(weights + kLanes / 2, fixed.half[1]);
        for (int l = 0; l < kLanes; l++) histogram[sums[l]] += weights[l];
    }
    return _mm512_reduce_max_ps(cut);
}

int64_t at_least(const float *logits, int64_t count, float floor, uint16_t *places) {
    int64_t found = 0;
    for (int64_t i = 0; i < count; i += kLanes) {
        const __m512 x =
            _mm512_mask_loadu_ps(_mm512_set1_ps(-kInfinity), lanes_below(count - i), logits + i);
        uint32_t some = _mm512_mask_cmp_ps_mask(finite(x), x, _mm512_set1_ps(floor), _CMP_GE_OQ);
        for (; some != 0; some &= some - 1) places[found++] = uint16_t(i + __builtin_ctz(some));
    }
    return found;
}

int64_t in_bucket(const uint16_t *buckets, int64_t count, uint16_t bucket, uint16_t *places) {
    constexpr int kWords = 32;
    const __m512i wanted = _mm512_set1_epi16(int16_t(bucket));
    int64_t found = 0;
    for (int64_t i = 0; i < count; i += kWords) {
        const __mmask32 inside =
            count - i >= kWords ? __mmask32(~0u) : __mmask32((1u << (count - i)) - 1);
        uint32_t some = _mm512_mask_cmpeq_epi16_mask(
            inside, _mm512_maskz_loadu_epi16(inside, buckets + i), wanted);
        for (; some != 0; some &= some - 1) places[found++] = uint16_t(i + __builtin_ctz(some));
    }
    return found;
}

} // namespace

const WeightKernels kWeightKernelsAvx512 = {range, weigh, bucket, at_least, in_bucket};

} // namespace ds4
