// E4M3 codes with their block's scale as bf16, exact. The namespace is unnamed because each file
// that includes this is compiled for its own CPU.
#pragma once
#include "backend/cpu/kernels/intrinsics.h"
#include "backend/cpu/kernels/strips.h"

namespace ds4::cpu {
namespace {

// Upper and lower bytes of the values of the 128 codes without sign, for every scale that strips
// have. Code 127 is NaN.
struct ScaledCodes {
    alignas(64) uint8_t upper[128];
    alignas(64) uint8_t lower[128];
};
struct ScaledTables {
    ScaledCodes of[256];
};
constexpr ScaledTables scaled_tables() {
    ScaledTables tables{};
    for (uint32_t scale = kLeastStripScale; scale <= kLargestStripScale; scale++)
        for (uint32_t code = 0; code < 128; code++) {
            uint32_t word = 0, exponent = scale - 7; // a bf16 exponent of a code in [8, 16)
            if (code == 127) {
                word = 0x7fc0;
            } else if (code >= 8) {
                word = (code << 4) + (exponent << 7);
            } else if (code != 0) { // subnormal: code * 2^-9
                const uint32_t top = code >= 4 ? 2 : code >= 2 ? 1 : 0;
                word = ((exponent - 2 + top) << 7) + ((code << (7 - top)) & 127u);
            }
            tables.of[scale].upper[code] = uint8_t(word >> 8);
            tables.of[scale].lower[code] = uint8_t(word);
        }
    return tables;
}
alignas(64) constexpr ScaledTables kScaledTables = scaled_tables();

// The tables of one scale in registers.
struct E4m3Decoder {
    __m512i upper[2], lower[2];

    explicit E4m3Decoder(uint8_t scale) {
        const ScaledCodes &codes = kScaledTables.of[scale];
        for (int half = 0; half < 2; half++) {
            upper[half] = _mm512_load_si512(codes.upper + 64 * half);
            lower[half] = _mm512_load_si512(codes.lower + 64 * half);
        }
    }
    // A vector of a strip as bf16: pairs of inputs 0 and 1 of its 16 rows, then of inputs 2 and 3.
    [[gnu::always_inline]] inline void decode(__m512i codes, __m512i *pairs) const {
        __m512i high = _mm512_permutex2var_epi8(upper[0], codes, upper[1]);
        const __m512i low = _mm512_permutex2var_epi8(lower[0], codes, lower[1]);
        constexpr int kOrAnd = 0xf8; // a | (b & c)
        high = _mm512_ternarylogic_epi32(high, codes, _mm512_set1_epi8(char(0x80)), kOrAnd);
        pairs[0] = _mm512_unpacklo_epi8(low, high);
        pairs[1] = _mm512_unpackhi_epi8(low, high);
    }
};

} // namespace
} // namespace ds4::cpu
