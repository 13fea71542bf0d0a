// Vectors of 16 lanes. In a group of 128 channels lane l belongs to block l / 4 and holds channels
// 4l..4l+3 of the first and of the second halves.
#pragma once
#include "backend/cpu/kernels/intrinsics.h"
#include "backend/cpu/kernels/operands.h"
#include "base/exp_minus_avx512.h"

#include <cstdint>

namespace ds4::cpu {
namespace {

struct Avx512 {
    using Lanes = __m512;
    static constexpr int kWidth = 16, kTileRows = 4, kTileTokens = 4, kTileColumns = 4;
    // Eight rows read each activation from the second-level cache once; larger and 4 x 4 tiles
    // spill too much.
    static constexpr int kInt8Rows = 8, kInt8Tokens = 2;

    // Weights + 128 as unsigned bytes, first and second halves, and each lane's scale.
    struct Codes {
        __m512i low, high;
        __m512 scale;
    };
    // With minimums: weights are not negative and stored as they are. The lower word of a lane of
    // mins is the minimum of its first half, the upper word that of the second. They have a common
    // scale.
    struct CodesWithMins {
        __m512i low, high;
        __m512 scale;
        __m512i mins;
        __m512 min_scale;
    };
    struct Activation {
        const int8_t *quants;
        __m512i sums;
        __m512 scale;
        // For minimums, in words: the sums of the lane's quants of the first and the second half.
        __m512i half_sums;
    };

    static inline Lanes zero() { return _mm512_setzero_ps(); }
    static inline Lanes all(float value) { return _mm512_set1_ps(value); }
    static inline Lanes load(const float *from) { return _mm512_loadu_ps(from); }
    static inline void store(float *to, Lanes value) { _mm512_storeu_ps(to, value); }
    static inline Lanes add(Lanes a, Lanes b) { return _mm512_add_ps(a, b); }
    static inline Lanes fma(Lanes a, Lanes b, Lanes c) { return _mm512_fmadd_ps(a, b, c); }
    static inline Lanes subtract(Lanes a, Lanes b) { return _mm512_sub_ps(a, b); }
    static inline Lanes multiply(Lanes a, Lanes b) { return _mm512_mul_ps(a, b); }
    // b where a is a NaN
    static inline Lanes larger(Lanes a, Lanes b) { return _mm512_max_ps(a, b); }
    static inline Lanes exp_minus(Lanes d) {
        const __mmask16 beyond = _mm512_cmp_ps_mask(d, _mm512_set1_ps(kExpReach), _CMP_GE_OQ);
        return _mm512_maskz_mov_ps(__mmask16(~beyond), exp_minus_lanes(d));
    }

    static inline Activation activation(const ActivationGroup &group) {
        const __m512i lane_block =
            _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
        const int8_t *x = group.quants;
        const __m512i zero = _mm512_setzero_si512(), ones = _mm512_set1_epi8(1);
        const __m512i first = _mm512_dpbusd_epi32(zero, ones, _mm512_load_si512(x));
        const __m512i second = _mm512_dpbusd_epi32(zero, ones, _mm512_load_si512(x + 64));
        return {
            x, _mm512_load_si512(group.sums),
            _mm512_permutexvar_ps(lane_block, _mm512_castps128_ps512(_mm_load_ps(group.scales))),
            _mm512_mask_blend_epi16(0xaaaaaaaau, first, _mm512_slli_epi32(second, 16))};
    }

    static inline Lanes accumulate(Lanes sum, const Codes &codes, const Activation &x) {
        __m512i dot = _mm512_dpbusd_epi32(x.sums, codes.low, _mm512_load_si512(x.quants));
        dot = _mm512_dpbusd_epi32(dot, codes.high, _mm512_load_si512(x.quants + 64));
        return _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), _mm512_mul_ps(codes.scale, x.scale), sum);
    }

    static inline Lanes accumulate(Lanes sum, const CodesWithMins &codes, const Activation &x) {
        __m512i dot =
            _mm512_dpbusd_epi32(_mm512_setzero_si512(), codes.low, _mm512_load_si512(x.quants));
        dot = _mm512_dpbusd_epi32(dot, codes.high, _mm512_load_si512(x.quants + 64));
        sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), _mm512_mul_ps(codes.scale, x.scale), sum);
        const __m512i mins = _mm512_madd_epi16(codes.mins, x.half_sums);
        return _mm512_fnmadd_ps(_mm512_cvtepi32_ps(mins), _mm512_mul_ps(codes.min_scale, x.scale),
                                sum);
    }

    // A decoded group as 128 floats in channel order: code * scale - min * min scale. A factor of 1
    // or 1/2 on the scale is exact.
    static inline void store_group(float *out, const Codes &codes, float factor) {
        alignas(64) int8_t bytes[128];
        alignas(64) float scales[16];
        const __m512i sign = _mm512_set1_epi8(char(0x80));
        _mm512_store_si512(bytes, _mm512_xor_si512(codes.low, sign));
        _mm512_store_si512(bytes + 64, _mm512_xor_si512(codes.high, sign));
        _mm512_store_ps(scales, _mm512_mul_ps(codes.scale, _mm512_set1_ps(factor)));
#pragma GCC unroll 8
        for (int part = 0; part < 8; part++)
            store(out + 16 * part,
                  _mm512_mul_ps(code_values(bytes, part), _mm512_set1_ps(scales[part / 2 * 4])));
    }
    static inline void store_group(float *out, const CodesWithMins &codes, float factor) {
        alignas(64) int8_t bytes[128];
        alignas(64) float scales[16], mins[2][16];
        _mm512_store_si512(bytes, codes.low);
        _mm512_store_si512(bytes + 64, codes.high);
        _mm512_store_ps(scales, _mm512_mul_ps(codes.scale, _mm512_set1_ps(factor)));
        const __m512i first = _mm512_and_si512(codes.mins, _mm512_set1_epi32(0xffff));
        _mm512_store_ps(mins[0], _mm512_mul_ps(_mm512_cvtepi32_ps(first), codes.min_scale));
        _mm512_store_ps(
            mins[1],
            _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_srli_epi32(codes.mins, 16)), codes.min_scale));
#pragma GCC unroll 8
        for (int part = 0; part < 8; part++)
            store(out + 16 * part,
                  _mm512_fmsub_ps(code_values(bytes, part), _mm512_set1_ps(scales[part / 2 * 4]),
                                  _mm512_set1_ps(mins[part % 2][part / 2 * 4])));
    }
    // Sixteen codes: part 2b is the first half of block b, 2b + 1 the second.
    static inline __m512 code_values(const int8_t *bytes, int part) {
        const __m128i code = _mm_load_si128(
            reinterpret_cast<const __m128i *>(bytes + part % 2 * 64 + part / 2 * 16));
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(code));
    }

    // Lanes added in pairs: 8 apart, 4, 2, 1.
    static inline float total(Lanes sum) {
        const __m256 eight =
            _mm256_add_ps(_mm512_castps512_ps256(sum), _mm512_extractf32x8_ps(sum, 1));
        const __m128 four =
            _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
        const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
    }
};

} // namespace
} // namespace ds4::cpu
