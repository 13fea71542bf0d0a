// Vectors of 8 lanes. A group of 128 channels is two halves. Lane l of half h belongs to block 2h +
// l / 4 and holds channels 4(l % 4).. of the block's first and second half.
#pragma once
#include "backend/cpu/kernels/intrinsics.h"
#include "backend/cpu/kernels/operands.h"
#include "base/exp_minus_avx2.h"

#include <cstdint>

namespace ds4::cpu {
namespace {

struct Avx2 {
    using Lanes = __m256;
    static constexpr int kWidth = 8, kTileRows = 4, kTileTokens = 2, kTileColumns = 2;
    static constexpr int kInt8Rows = 4, kInt8Tokens = 2;

    // Weights as signed bytes, first and second halves of two blocks, and each lane's scale. One
    // entry for each half.
    struct Codes {
        __m256i low[2], high[2];
        __m256 scale[2];
    };
    // Weights + 16 as unsigned bytes of at most 31.
    struct OffsetCodes {
        Codes codes;
    };
    // With minimums: weights are bytes of 0 to 63. The lower word of a lane of mins is the minimum
    // of its block's first half, the upper word that of the second. They have a common scale.
    struct CodesWithMins {
        Codes codes;
        __m256i mins[2];
        __m256 min_scale;
    };
    struct Activation {
        const int8_t *quants;
        __m256 scale[2];
        __m256i offsets[2]; // -16 * the sum of the lane's quants; for OffsetCodes
        // For minimums: words with the sums of the lane's quants of the two halves.
        __m256i half_sums[2];
    };

    static inline Lanes zero() { return _mm256_setzero_ps(); }
    static inline Lanes all(float value) { return _mm256_set1_ps(value); }
    static inline Lanes load(const float *from) { return _mm256_loadu_ps(from); }
    static inline void store(float *to, Lanes value) { _mm256_storeu_ps(to, value); }
    static inline Lanes add(Lanes a, Lanes b) { return _mm256_add_ps(a, b); }
    static inline Lanes fma(Lanes a, Lanes b, Lanes c) { return _mm256_fmadd_ps(a, b, c); }
    static inline Lanes subtract(Lanes a, Lanes b) { return _mm256_sub_ps(a, b); }
    static inline Lanes multiply(Lanes a, Lanes b) { return _mm256_mul_ps(a, b); }
    // b where a is a NaN
    static inline Lanes larger(Lanes a, Lanes b) { return _mm256_max_ps(a, b); }
    static inline Lanes exp_minus(Lanes d) {
        const __m256 beyond = _mm256_cmp_ps(d, _mm256_set1_ps(kExpReach), _CMP_GE_OQ);
        return _mm256_andnot_ps(beyond, exp_minus_lanes(d));
    }

    // Four scales of a group, each in its block's lanes.
    static inline __m256 spread(__m128 four, int half) {
        const __m128 first = half == 0 ? _mm_permute_ps(four, 0x00) : _mm_permute_ps(four, 0xaa);
        const __m128 second = half == 0 ? _mm_permute_ps(four, 0x55) : _mm_permute_ps(four, 0xff);
        return _mm256_insertf128_ps(_mm256_castps128_ps256(first), second, 1);
    }

    static inline Activation activation(const ActivationGroup &group) {
        const __m128 four = _mm_load_ps(group.scales);
        Activation x{group.quants, {spread(four, 0), spread(four, 1)}, {}, {}};
        const __m256i ones = _mm256_set1_epi8(1);
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            const auto *of_half = reinterpret_cast<const __m256i *>(group.sums + 8 * half);
            x.offsets[half] = _mm256_srai_epi32(_mm256_load_si256(of_half), 3);
            const __m256i first = add_pairs(_mm256_maddubs_epi16(ones, quants_at(x, 32 * half)));
            const __m256i second =
                add_pairs(_mm256_maddubs_epi16(ones, quants_at(x, 64 + 32 * half)));
            x.half_sums[half] = _mm256_blend_epi16(first, _mm256_slli_epi32(second, 16), 0xaa);
        }
        return x;
    }

    static inline __m256i quants_at(const Activation &x, int offset) {
        return _mm256_load_si256(reinterpret_cast<const __m256i *>(x.quants + offset));
    }

    static inline __m256i add_pairs(__m256i words) {
        return _mm256_madd_epi16(words, _mm256_set1_epi16(1));
    }

    // Sums of four products: |a pair| <= 2 * 128 * 127 stays below 2^15.
    static inline __m256i dot4(__m256i weights, __m256i x) {
        const __m256i pairs =
            _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(x, weights));
        return add_pairs(pairs);
    }
    // Sums of eight products of unsigned weights: at most 63, so four of them stay below 2^15.
    static inline __m256i dot8(const Codes &codes, const Activation &x, int half) {
        return add_pairs(
            _mm256_add_epi16(_mm256_maddubs_epi16(codes.low[half], quants_at(x, 32 * half)),
                             _mm256_maddubs_epi16(codes.high[half], quants_at(x, 64 + 32 * half))));
    }

    static inline Lanes accumulate(Lanes sum, const Codes &codes, const Activation &x) {
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            const __m256i dot =
                _mm256_add_epi32(dot4(codes.low[half], quants_at(x, 32 * half)),
                                 dot4(codes.high[half], quants_at(x, 64 + 32 * half)));
            sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot),
                                  _mm256_mul_ps(codes.scale[half], x.scale[half]), sum);
        }
        return sum;
    }

    static inline Lanes accumulate(Lanes sum, const OffsetCodes &offset, const Activation &x) {
        const Codes &codes = offset.codes;
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            const __m256i dot = _mm256_add_epi32(dot8(codes, x, half), x.offsets[half]);
            sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot),
                                  _mm256_mul_ps(codes.scale[half], x.scale[half]), sum);
        }
        return sum;
    }

    static inline Lanes accumulate(Lanes sum, const CodesWithMins &weights, const Activation &x) {
        const Codes &codes = weights.codes;
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++)
            sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot8(codes, x, half)),
                                  _mm256_mul_ps(codes.scale[half], x.scale[half]), sum);
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            const __m256i mins = _mm256_madd_epi16(weights.mins[half], x.half_sums[half]);
            sum = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(mins),
                                   _mm256_mul_ps(weights.min_scale, x.scale[half]), sum);
        }
        return sum;
    }

    // A decoded group as 128 floats in channel order: code * scale - min * min scale. A factor of 1
    // or 1/2 on the scale is exact.
    static inline void store_group(float *out, const Codes &codes, float factor) {
        store_values(out, codes, factor, [](__m256 value, __m256 scale, int, int) {
            return _mm256_mul_ps(value, scale);
        });
    }
    static inline void store_group(float *out, const OffsetCodes &offset, float factor) {
        Codes codes = offset.codes;
        for (int half = 0; half < 2; half++) {
            codes.low[half] = _mm256_sub_epi8(codes.low[half], _mm256_set1_epi8(16));
            codes.high[half] = _mm256_sub_epi8(codes.high[half], _mm256_set1_epi8(16));
        }
        store_group(out, codes, factor);
    }
    static inline void store_group(float *out, const CodesWithMins &codes, float factor) {
        alignas(32) float mins[2][2][8]; // [half][first or second halves of its blocks]
        for (int half = 0; half < 2; half++) {
            const __m256i first = _mm256_and_si256(codes.mins[half], _mm256_set1_epi32(0xffff));
            const __m256i second = _mm256_srli_epi32(codes.mins[half], 16);
            _mm256_store_ps(mins[half][0],
                            _mm256_mul_ps(_mm256_cvtepi32_ps(first), codes.min_scale));
            _mm256_store_ps(mins[half][1],
                            _mm256_mul_ps(_mm256_cvtepi32_ps(second), codes.min_scale));
        }
        store_values(out, codes.codes, factor, [&](__m256 value, __m256 scale, int half, int part) {
            return _mm256_fmsub_ps(value, scale,
                                   _mm256_set1_ps(mins[half][part / 2][part % 2 * 4]));
        });
    }
    // part 0 and 1 are the first halves of a half's two blocks, 2 and 3 the second halves
    template <typename Combine>
    static inline void store_values(float *out, const Codes &codes, float factor,
                                    const Combine &combine) {
        alignas(32) int8_t bytes[64];
        alignas(32) float scales[8];
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            _mm256_store_ps(scales, _mm256_mul_ps(codes.scale[half], _mm256_set1_ps(factor)));
            _mm256_store_si256(reinterpret_cast<__m256i *>(bytes), codes.low[half]);
            _mm256_store_si256(reinterpret_cast<__m256i *>(bytes + 32), codes.high[half]);
#pragma GCC unroll 8
            for (int eight = 0; eight < 8; eight++) {
                const int part = eight / 2;
                const __m128i code =
                    _mm_loadl_epi64(reinterpret_cast<const __m128i *>(bytes + 8 * eight));
                const __m256 value = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(code));
                store(out + 64 * half + part % 2 * 32 + part / 2 * 16 + eight % 2 * 8,
                      combine(value, _mm256_set1_ps(scales[part % 2 * 4]), half, part));
            }
        }
    }

    // Lanes added in pairs: 4 apart, 2, 1.
    static inline float total(Lanes sum) {
        const __m128 four = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
        const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
    }
};

} // namespace
} // namespace ds4::cpu
