#include "experts/loading/stored_matrix.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <emmintrin.h>

#include "format/blocks.h"
#include "format/encode.h"
#include "format/scalar.h"
#include "kt_bridge.h"
#include "pool/error.h"

namespace ds4::ktb {
namespace {

constexpr uint8_t kNanScale = 255; // of E8M0
constexpr int kMaximumColumns = 1 << 16;

float stored_scale(ScaleFormat format, const uint8_t *scales, size_t i) {
    if (format == ScaleFormat::e8m0) return e8m0_to_f32(scales[i]);
    return format == ScaleFormat::bf16 ? bf16_to_f32(load_u16(scales + i * 2))
                                       : load_f32(scales + i * 4);
}

uint8_t e8m0_of(float scale) {
    const uint32_t exponent = f32_bits(scale) >> 23;
    return uint8_t(exponent); // 2^-127 is a subnormal f32: exponent 0, as the byte
}

// bf16 scales to E8M0; the published layout widens E8M0 bytes, so anything else has no place here.
void narrow_scales(const uint8_t *stored, size_t count, uint8_t *out, const std::string &name) {
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i *>(stored + i * 2));
        const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i *>(stored + i * 2 + 16));
        const __m128i stray = _mm_and_si128(_mm_or_si128(a, b), _mm_set1_epi16(short(0x807f)));
        const __m128i infinity = _mm_set1_epi16(0x7f80),
                      infinite =
                          _mm_or_si128(_mm_cmpeq_epi16(a, infinity), _mm_cmpeq_epi16(b, infinity));
        const __m128i clean = _mm_cmpeq_epi8(_mm_or_si128(stray, infinite), _mm_setzero_si128());
        if (_mm_movemask_epi8(clean) != 0xffff) break; // the loop below names it
        _mm_storeu_si128(reinterpret_cast<__m128i *>(out + i),
                         _mm_packus_epi16(_mm_srli_epi16(a, 7), _mm_srli_epi16(b, 7)));
    }
    for (; i < count; i++) {
        const uint16_t bits = load_u16(stored + i * 2);
        if ((bits & 0x807f) != 0 || (bits >> 7) == 255)
            fail(KTB_ERR_FORMAT,
                 "%s.scale: bf16 scale 0x%04x at %zu is not a finite power of two, which MXFP4 "
                 "requires",
                 name.c_str(), bits, i);
        out[i] = uint8_t(bits >> 7);
    }
}

bool all_finite_bf16(const uint8_t *words, size_t count) {
    uint32_t worst = 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t exponent = load_u16(words + i * 2) & 0x7f80u;
        worst = worst > exponent ? worst : exponent;
    }
    return worst != 0x7f80u;
}

} // namespace

std::pair<uint8_t, uint8_t> byte_range(const uint8_t *bytes, size_t count) {
    __m128i low = _mm_set1_epi8(-1), high = _mm_setzero_si128();
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const __m128i piece = _mm_loadu_si128(reinterpret_cast<const __m128i *>(bytes + i));
        low = _mm_min_epu8(low, piece), high = _mm_max_epu8(high, piece);
    }
    uint8_t lows[16], highs[16];
    _mm_storeu_si128(reinterpret_cast<__m128i *>(lows), low);
    _mm_storeu_si128(reinterpret_cast<__m128i *>(highs), high);
    uint8_t lowest = *std::min_element(lows, lows + 16),
            highest = *std::max_element(highs, highs + 16);
    for (; i < count; i++)
        lowest = std::min(lowest, bytes[i]), highest = std::max(highest, bytes[i]);
    return {lowest, highest};
}

bool takes_scales(Method method, ScaleFormat format) {
    if (method == Method::mxfp4) return format == ScaleFormat::e8m0 || format == ScaleFormat::bf16;
    if (method_traits(method).scale_bytes == 0) return format == ScaleFormat::none;
    return format != ScaleFormat::none;
}

void canonical_scales(Method method, ScaleFormat format, const uint8_t *stored, size_t count,
                      uint8_t *out, const std::string &name) {
    if (method == Method::mxfp4) {
        if (format == ScaleFormat::bf16) return narrow_scales(stored, count, out, name);
        std::memcpy(out, stored, count);
        if (const void *nan = std::memchr(out, kNanScale, count); nan != nullptr)
            fail(KTB_ERR_FORMAT, "%s.scale: scale 255 (NaN) at %zu", name.c_str(),
                 size_t(static_cast<const uint8_t *>(nan) - out));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const float scale = stored_scale(format, stored, i);
        if (!std::isfinite(scale))
            fail(KTB_ERR_FORMAT, "%s.scale: the scale at %zu is not a finite number", name.c_str(),
                 i);
        std::memcpy(out + i * sizeof scale, &scale, sizeof scale);
    }
}

void stored_scales(Method method, ScaleFormat format, const uint8_t *canonical, size_t count,
                   uint8_t *out) {
    if (count == 0) return;
    if (method == Method::mxfp4 || format == ScaleFormat::f32) {
        std::memcpy(out, canonical, count * size_t(method_traits(method).scale_bytes));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const float scale = load_f32(canonical + i * 4);
        const uint16_t word = uint16_t(f32_bits(scale) >> 16);
        if (format == ScaleFormat::e8m0)
            out[i] = e8m0_of(scale);
        else
            std::memcpy(out + i * 2, &word, sizeof word);
    }
}

void check_codes(const MatrixShape &shape, const uint8_t *codes, int begin, int rows,
                 const std::string &name) {
    static constexpr uint8_t kNoScales[kMaximumColumns / kGroup] =
        {};                                    // the stored ones are checked elsewhere
    if (shape.method == Method::mxfp4) return; // every code is a number
    const uint32_t type = method_traits(shape.method).type;
    const size_t bytes = shape.row_bytes();
    for (int row = 0; row < rows; row++, codes += bytes) {
        const char *defect =
            shape.method == Method::bf16 && !all_finite_bf16(codes, size_t(shape.columns))
                ? "a value is not a finite number"
                : row_defect(type, codes, kNoScales, shape.columns);
        if (defect != nullptr)
            fail(KTB_ERR_FORMAT, "%s.weight: row %d: %s", name.c_str(), begin + row, defect);
    }
}

} // namespace ds4::ktb
