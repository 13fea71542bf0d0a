// Sixteen weights of a dense type at a time, exact.
#pragma once
#include "backend/cpu/kernels/f32_rows.h"
#include "backend/cpu/kernels/ops_avx512.h"

namespace ds4::cpu {
namespace {

inline uint16_t word16_at(const uint8_t *from) {
    uint16_t word;
    __builtin_memcpy(&word, from, sizeof word);
    return word;
}

// Types that are loaded one vector at a time.
template <typename Dense> struct OneVectorAvx512 {
    static constexpr int kVectors = 1, kScaleBytes = 0;
    static inline void load_vectors(const DenseRow &row, int64_t i, __m512 *out) {
        out[0] = Dense::load(row, i);
    }
};

struct F32Avx512 : OneVectorAvx512<F32Avx512> {
    static constexpr int kBytes = 4;
    static inline __m512 load(const DenseRow &row, int64_t i) {
        return _mm512_loadu_ps(row.data + 4 * i);
    }
    static inline float load_one(const DenseRow &row, int64_t i) {
        float value;
        __builtin_memcpy(&value, row.data + 4 * i, sizeof value);
        return value;
    }
};

struct F16Avx512 : OneVectorAvx512<F16Avx512> {
    static constexpr int kBytes = 2;
    static inline __m512 load(const DenseRow &row, int64_t i) {
        return _mm512_cvtph_ps(
            _mm256_loadu_si256(reinterpret_cast<const __m256i *>(row.data + 2 * i)));
    }
    static inline float load_one(const DenseRow &row, int64_t i) {
        return _cvtsh_ss(word16_at(row.data + 2 * i));
    }
};

struct Bf16Avx512 : OneVectorAvx512<Bf16Avx512> {
    static constexpr int kBytes = 2;
    static inline __m512 load(const DenseRow &row, int64_t i) {
        const __m256i words =
            _mm256_loadu_si256(reinterpret_cast<const __m256i *>(row.data + 2 * i));
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(words), 16));
    }
    static inline float load_one(const DenseRow &row, int64_t i) {
        return _mm_cvtss_f32(_mm_castsi128_ps(
            _mm_cvtsi32_si128(int32_t(uint32_t(word16_at(row.data + 2 * i)) << 16))));
    }
};

// Upper and lower bytes of the exact bf16 values of the 128 codes without sign. Code 127 is NaN.
struct E4m3Tables {
    alignas(64) uint8_t upper[128];
    alignas(64) uint8_t lower[128];
};
constexpr E4m3Tables e4m3_tables() {
    E4m3Tables tables{};
    for (uint32_t code = 0; code < 128; code++) {
        uint32_t word = 0;
        if (code >= 8) {
            word =
                (code << 4) + (120u << 7); // the same exponent and mantissa, bias 127 instead of 7
        } else if (code != 0) {
            const uint32_t top = code >= 4 ? 2 : code >= 2 ? 1 : 0; // subnormal: code * 2^-9
            word = ((118 + top) << 7) + ((code << (7 - top)) & 127u);
        }
        if (code == 127) word = 0x7fc0;
        tables.upper[code] = uint8_t(word >> 8);
        tables.lower[code] = uint8_t(word);
    }
    return tables;
}
constexpr E4m3Tables kE4m3Tables = e4m3_tables();

template <typename Scale> // uint8_t: E8M0; float
struct F8E4m3Avx512 {
    static constexpr int kBytes = 1, kVectors = 4, kScaleBytes = int(sizeof(Scale));

    // Converts 64 codes to f32. Two table lookups give the upper two bytes of every value, which go
    // to their lanes.
    static inline void values(__m512i codes, __m512 scale, __m512 *out) {
        __m512i upper = _mm512_permutex2var_epi8(_mm512_load_si512(kE4m3Tables.upper), codes,
                                                 _mm512_load_si512(kE4m3Tables.upper + 64));
        const __m512i lower = _mm512_permutex2var_epi8(_mm512_load_si512(kE4m3Tables.lower), codes,
                                                       _mm512_load_si512(kE4m3Tables.lower + 64));
        constexpr int kSignOr = 0xf8; // a | (b & c)
        upper = _mm512_ternarylogic_epi32(upper, codes, _mm512_set1_epi8(char(0x80)), kSignOr);
        // byte 2 of lane l from lower[l], byte 3 from upper[l]
        __m512i index = _mm512_setr_epi32(0x40000000, 0x41010000, 0x42020000, 0x43030000,
                                          0x44040000, 0x45050000, 0x46060000, 0x47070000,
                                          0x48080000, 0x49090000, 0x4a0a0000, 0x4b0b0000,
                                          0x4c0c0000, 0x4d0d0000, 0x4e0e0000, 0x4f0f0000);
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) {
            const __m512i bits =
                _mm512_maskz_permutex2var_epi8(0xccccccccccccccccull, lower, index, upper);
            out[v] = _mm512_mul_ps(_mm512_castsi512_ps(bits), scale);
            index = _mm512_add_epi8(index, _mm512_set1_epi8(16));
        }
    }
    static inline __m512 scale_at(const DenseRow &row, int64_t i) {
        return _mm512_set1_ps(scale_of<Scale>(row, i));
    }
    static inline void load_vectors(const DenseRow &row, int64_t i, __m512 *out) {
        values(_mm512_loadu_si512(row.data + i), scale_at(row, i), out);
    }
    static inline __m512 load(const DenseRow &row, int64_t i) {
        __m512 out[4];
        values(_mm512_castsi128_si512(
                   _mm_loadu_si128(reinterpret_cast<const __m128i *>(row.data + i))),
               scale_at(row, i), out);
        return out[0];
    }
    static inline float load_one(const DenseRow &row, int64_t i) {
        __m512 out[4];
        values(_mm512_castsi128_si512(_mm_cvtsi32_si128(row.data[i])), scale_at(row, i), out);
        return _mm512_cvtss_f32(out[0]);
    }
};

} // namespace
} // namespace ds4::cpu
