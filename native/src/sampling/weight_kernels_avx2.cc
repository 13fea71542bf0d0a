#include <immintrin.h>

#include "base/exp_minus_avx2.h"
#include "sampling/weight.h"
#include "sampling/weight_kernels.h"

namespace ds4 {
namespace {

constexpr int kLanes = 8;
constexpr float kInfinity = __builtin_inff();

// Lanes whose bits are those of a finite number.
__m256 finite(__m256 x) {
    const __m256 magnitude = _mm256_and_ps(x, _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff)));
    return _mm256_cmp_ps(magnitude, _mm256_set1_ps(kInfinity), _CMP_LT_OQ);
}

// The logits from i on, with -infinity from `count` on.
__m256 load(const float *logits, int64_t i, int64_t count) {
    if (i + kLanes <= count) return _mm256_loadu_ps(logits + i);
    float lanes[kLanes];
    for (int lane = 0; lane < kLanes; lane++)
        lanes[lane] = i + lane < count ? logits[i + lane] : -kInfinity;
    return _mm256_loadu_ps(lanes);
}

template <typename T> void store_some(const T *lanes, T *out, int64_t i, int64_t count) {
    for (int lane = 0; lane < kLanes && i + lane < count; lane++) out[i + lane] = lanes[lane];
}

float largest_lane(__m256 x) {
    alignas(32) float lanes[kLanes];
    _mm256_store_ps(lanes, x);
    float result = lanes[0];
    for (const float lane : lanes) result = lane > result ? lane : result;
    return result;
}

LogitRange range(const float *logits, int64_t count) {
    const __m256 nothing = _mm256_set1_ps(-kInfinity), sign = _mm256_set1_ps(-0.0f);
    __m256 largest = nothing, negated = nothing; // negated: the largest of -logit
    for (int64_t i = 0; i < count; i += kLanes) {
        const __m256 x = load(logits, i, count), some = finite(x);
        largest = _mm256_max_ps(largest, _mm256_blendv_ps(nothing, x, some));
        negated = _mm256_max_ps(negated, _mm256_blendv_ps(nothing, _mm256_xor_ps(x, sign), some));
    }
    return {largest_lane(largest), -largest_lane(negated)};
}

struct Weighed {                             // 8 logits
    __m256 distance, weight, finite, weighs; // weighs: within kWeightReach; the others weigh 0
};

Weighed weigh_lanes(__m256 x, __m256 largest, __m256 temperature) {
    Weighed out;
    out.finite = finite(x);
    const __m256 d = _mm256_div_ps(_mm256_sub_ps(largest, x), temperature);
    out.weighs =
        _mm256_and_ps(out.finite, _mm256_cmp_ps(d, _mm256_set1_ps(kWeightReach), _CMP_LT_OQ));
    out.distance = _mm256_and_ps(d, out.weighs);
    out.weight = _mm256_and_ps(exp_minus_lanes(out.distance), out.weighs);
    return out;
}

// Fixed-point weights by two digits of 20 bits, of which [0] has the first four lanes.
struct Fixed {
    __m256i half[2];

    explicit Fixed(__m256 weight) {
        const __m256 digit = _mm256_set1_ps(0x1p20f), scaled = _mm256_mul_ps(weight, digit);
        const __m256i high = _mm256_cvttps_epi32(scaled);
        const __m256 rest = _mm256_sub_ps(scaled, _mm256_cvtepi32_ps(high));
        const __m256i low = _mm256_cvttps_epi32(_mm256_mul_ps(rest, digit));
        half[0] = joined(_mm256_castsi256_si128(high), _mm256_castsi256_si128(low));
        half[1] = joined(_mm256_extracti128_si256(high, 1), _mm256_extracti128_si256(low, 1));
    }
    static __m256i joined(__m128i high, __m128i low) {
        return _mm256_add_epi64(_mm256_slli_epi64(_mm256_cvtepi32_epi64(high), 20),
                                _mm256_cvtepi32_epi64(low));
    }
};

uint64_t weigh(const float *logits, int64_t count, float largest, float temperature, float min_p,
               float *out) {
    const __m256 top = _mm256_set1_ps(largest), divisor = _mm256_set1_ps(temperature);
    __m256i sum = _mm256_setzero_si256();
    for (int64_t i = 0; i < count; i += kLanes) {
        const Weighed w = weigh_lanes(load(logits, i, count), top, divisor);
        const __m256 kept =
            _mm256_and_ps(w.weight, _mm256_cmp_ps(w.weight, _mm256_set1_ps(min_p), _CMP_NLT_UQ));
        if (i + kLanes <= count) {
            _mm256_storeu_ps(out + i, kept);
        } else {
            float lanes[kLanes];
            _mm256_storeu_ps(lanes, kept);
            store_some(lanes, out, i, count);
        }
        const Fixed fixed(kept);
        sum = _mm256_add_epi64(sum, _mm256_add_epi64(fixed.half[0], fixed.half[1]));
    }
    alignas(32) uint64_t sums[4];
    _mm256_store_si256(reinterpret_cast<__m256i *>(sums), sum);
    return sums[0] + sums[1] + sums[2] + sums[3];
}

float bucket(const float *logits, int64_t count, const WeightScale &scale, uint16_t *buckets,
             uint64_t *histogram) {
    const __m256 top = _mm256_set1_ps(scale.largest), divisor = _mm256_set1_ps(scale.temperature),
                 nothing = _mm256_set1_ps(-kInfinity),
                 per_unit = _mm256_set1_ps(scale.buckets_per_unit);
    __m256 cut = nothing;
    alignas(32) uint64_t weights[kLanes];
    alignas(32) int32_t places[kLanes];
    for (int64_t i = 0; i < count; i += kLanes) {
        const __m256 x = load(logits, i, count);
        const Weighed w = weigh_lanes(x, top, divisor);
        const __m256 below = _mm256_and_ps(
            w.finite, _mm256_cmp_ps(w.weight, _mm256_set1_ps(scale.min_p), _CMP_LT_OQ));
        cut = _mm256_max_ps(cut, _mm256_blendv_ps(nothing, x, below));
        const __m256i within = _mm256_cvttps_epi32(_mm256_min_ps(
            _mm256_mul_ps(w.distance, per_unit), _mm256_set1_ps(float(kWeightBuckets - 1))));
        const __m256i place = _mm256_blendv_epi8(_mm256_set1_epi32(kWeightless), within,
                                                 _mm256_castps_si256(w.weighs));
        _mm256_store_si256(reinterpret_cast<__m256i *>(places), place);
        const Fixed fixed(w.weight);
        for (int half = 0; half < 2; half++)
            _mm256_store_si256(reinterpret_cast<__m256i *>(weights) + half, fixed.half[half]);
        for (int lane = 0; lane < kLanes; lane++)
            histogram[places[lane] * kBucketLanes + lane % kBucketLanes] += weights[lane];
        for (int lane = 0; lane < kLanes && i + lane < count; lane++)
            buckets[i + lane] = uint16_t(places[lane]);
    }
    return largest_lane(cut);
}

int64_t at_least(const float *logits, int64_t count, float floor, uint16_t *places) {
    int64_t found = 0;
    for (int64_t i = 0; i < count; i += kLanes) {
        const __m256 x = load(logits, i, count);
        const __m256 from = _mm256_cmp_ps(x, _mm256_set1_ps(floor), _CMP_GE_OQ);
        uint32_t some = uint32_t(_mm256_movemask_ps(_mm256_and_ps(finite(x), from)));
        for (; some != 0; some &= some - 1) places[found++] = uint16_t(i + __builtin_ctz(some));
    }
    return found;
}

int64_t in_bucket(const uint16_t *buckets, int64_t count, uint16_t bucket, uint16_t *places) {
    constexpr int kWords = 16;
    const __m256i wanted = _mm256_set1_epi16(int16_t(bucket));
    int64_t found = 0, i = 0;
    for (; i + kWords <= count; i += kWords) {
        const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(buckets + i));
        // Two bits a word, of which the lower one is counted.
        uint32_t some =
            uint32_t(_mm256_movemask_epi8(_mm256_cmpeq_epi16(words, wanted))) & 0x55555555u;
        for (; some != 0; some &= some - 1) places[found++] = uint16_t(i + __builtin_ctz(some) / 2);
    }
    for (; i < count; i++)
        if (buckets[i] == bucket) places[found++] = uint16_t(i);
    return found;
}

} // namespace

const WeightKernels kWeightKernelsAvx2 = {range, weigh, bucket, at_least, in_bucket};

} // namespace ds4
