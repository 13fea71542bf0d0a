#include "format/scales.h"

#include <emmintrin.h>

#include "format/blocks.h"

namespace ds4 {
namespace {

constexpr uint16_t kSignAndFraction = 0x807f;
constexpr uint32_t kInfinity = 255; // exponent

// Converts sixteen words if all of them are scales.
bool convert_sixteen(const uint8_t *words, uint8_t *out) {
    const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i *>(words));
    const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i *>(words + 16));
    const __m128i other =
        _mm_and_si128(_mm_or_si128(a, b), _mm_set1_epi16(short(kSignAndFraction)));
    const __m128i infinity = _mm_set1_epi16(short(kInfinity << 7));
    const __m128i infinite =
        _mm_or_si128(_mm_cmpeq_epi16(a, infinity), _mm_cmpeq_epi16(b, infinity));
    const __m128i clean = _mm_cmpeq_epi8(_mm_or_si128(other, infinite), _mm_setzero_si128());
    if (_mm_movemask_epi8(clean) != 0xffff) return false;
    _mm_storeu_si128(reinterpret_cast<__m128i *>(out),
                     _mm_packus_epi16(_mm_srli_epi16(a, 7), _mm_srli_epi16(b, 7)));
    return true;
}

} // namespace

size_t bf16_scales_to_e8m0(const uint8_t *words, size_t count, uint8_t *out) {
    size_t i = 0;
    while (i + 16 <= count && convert_sixteen(words + i * 2, out + i)) i += 16;
    for (; i < count; i++) {
        const uint16_t word = load_u16(words + i * 2);
        if ((word & kSignAndFraction) != 0 || uint32_t(word >> 7) == kInfinity) return i;
        out[i] = uint8_t(word >> 7);
    }
    return count;
}

} // namespace ds4
