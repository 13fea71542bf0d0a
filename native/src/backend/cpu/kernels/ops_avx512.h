// Vectors of 16 lanes. In a group of 128 channels lane l belongs to block l / 4 and holds channels 4l..4l+3 of the
// first and of the second halves.
#pragma once
#include "backend/cpu/kernels/intrinsics.h"

#include <cstdint>

namespace ds4::cpu {
namespace {

struct Avx512 {
    using Lanes = __m512;
    static constexpr int kWidth = 16, kTileRows = 4, kTileTokens = 4, kTileColumns = 4;
    // Larger tiles spill: 4 x 4 and 4 x 3 were a quarter and a tenth slower at 16 tokens and more.
    static constexpr int kInt8Rows = 4, kInt8Tokens = 2;

    // Weights + 128 as unsigned bytes, first and second halves, and each lane's scale.
    struct Codes {
        __m512i low, high;
        __m512 scale;
    };
    // With minimums: bytes that stand for every channel of a lane, and their common scale.
    struct CodesWithMins {
        __m512i low, high;
        __m512 scale;
        __m512i min_low, min_high;
        __m512 min_scale;
    };
    struct Activation {
        const int8_t *quants;
        __m512i sums;
        __m512 scale;
    };

    static inline Lanes zero() { return _mm512_setzero_ps(); }
    static inline Lanes all(float value) { return _mm512_set1_ps(value); }
    static inline Lanes load(const float *from) { return _mm512_loadu_ps(from); }
    static inline void store(float *to, Lanes value) { _mm512_storeu_ps(to, value); }
    static inline Lanes add(Lanes a, Lanes b) { return _mm512_add_ps(a, b); }
    static inline Lanes fma(Lanes a, Lanes b, Lanes c) { return _mm512_fmadd_ps(a, b, c); }

    static inline Activation activation(const int8_t *quants, const float *scales, const int32_t *sums, int64_t group) {
        const __m512i lane_block = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
        return {quants + group * 128, _mm512_load_si512(sums + group * 16),
                _mm512_permutexvar_ps(lane_block, _mm512_castps128_ps512(_mm_load_ps(scales + group * 4)))};
    }

    static inline Lanes accumulate(Lanes sum, const Codes &codes, const Activation &x) {
        __m512i dot = _mm512_dpbusd_epi32(x.sums, codes.low, _mm512_load_si512(x.quants));
        dot = _mm512_dpbusd_epi32(dot, codes.high, _mm512_load_si512(x.quants + 64));
        return _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), _mm512_mul_ps(codes.scale, x.scale), sum);
    }

    static inline Lanes accumulate(Lanes sum, const CodesWithMins &codes, const Activation &x) {
        sum = accumulate(sum, Codes{codes.low, codes.high, codes.scale}, x);
        __m512i dot = _mm512_dpbusd_epi32(_mm512_setzero_si512(), codes.min_low, _mm512_load_si512(x.quants));
        dot = _mm512_dpbusd_epi32(dot, codes.min_high, _mm512_load_si512(x.quants + 64));
        return _mm512_fnmadd_ps(_mm512_cvtepi32_ps(dot), _mm512_mul_ps(codes.min_scale, x.scale), sum);
    }

    // A decoded group as 128 floats in channel order: code * scale - min * min scale. A factor of 1 or 1/2 on the scale
    // is exact.
    static inline void store_group(float *out, const Codes &codes, float factor) {
        alignas(64) int8_t bytes[128];
        alignas(64) float scales[16];
        unpack(codes.low, codes.high, bytes);
        _mm512_store_ps(scales, _mm512_mul_ps(codes.scale, _mm512_set1_ps(factor)));
#pragma GCC unroll 8
        for (int part = 0; part < 8; part++)
            store(out + 16 * part, _mm512_mul_ps(code_values(bytes, part), _mm512_set1_ps(scales[part / 2 * 4])));
    }
    static inline void store_group(float *out, const CodesWithMins &codes, float factor) {
        alignas(64) int8_t bytes[128];
        alignas(64) float scales[16], mins[2][16];
        unpack(codes.low, codes.high, bytes);
        _mm512_store_ps(scales, _mm512_mul_ps(codes.scale, _mm512_set1_ps(factor)));
        _mm512_store_ps(mins[0], min_values(codes.min_low, codes.min_scale));
        _mm512_store_ps(mins[1], min_values(codes.min_high, codes.min_scale));
#pragma GCC unroll 8
        for (int part = 0; part < 8; part++)
            store(out + 16 * part, _mm512_fmsub_ps(code_values(bytes, part), _mm512_set1_ps(scales[part / 2 * 4]),
                                                   _mm512_set1_ps(mins[part % 2][part / 2 * 4])));
    }
    static inline void unpack(__m512i low, __m512i high, int8_t *bytes) {
        const __m512i sign = _mm512_set1_epi8(char(0x80));
        _mm512_store_si512(bytes, _mm512_xor_si512(low, sign));
        _mm512_store_si512(bytes + 64, _mm512_xor_si512(high, sign));
    }
    // Sixteen codes: part 2b is the first half of block b, 2b + 1 the second.
    static inline __m512 code_values(const int8_t *bytes, int part) {
        const __m128i code = _mm_load_si128(reinterpret_cast<const __m128i *>(bytes + part % 2 * 64 + part / 2 * 16));
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(code));
    }
    static inline __m512 min_values(__m512i bytes, __m512 scale) {
        return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_and_si512(bytes, _mm512_set1_epi32(255))), scale);
    }

    // Lanes added in pairs: 8 apart, 4, 2, 1.
    static inline float total(Lanes sum) {
        const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(sum), _mm512_extractf32x8_ps(sum, 1));
        const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
        const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
    }
};

} // namespace
} // namespace ds4::cpu
