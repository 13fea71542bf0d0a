#include "experts/loading/stored_matrix.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <emmintrin.h>

#include "format/blocks.h"
#include "format/row_defect.h"
#include "format/scalar.h"
#include "format/scales.h"
#include "kt_bridge.h"
#include "pool/expert_error.h"

namespace ds4::ktb {
namespace {

constexpr int kMaximumColumns = 1 << 16;

float stored_scale(ScaleFormat format, const uint8_t *scales, size_t i) {
    if (format == ScaleFormat::e8m0) return e8m0_to_f32(scales[i]);
    return format == ScaleFormat::bf16 ? bf16_to_f32(load_u16(scales + i * 2))
                                       : load_f32(scales + i * 4);
}

// E8M0 bytes of bf16 scales. KTransformers widens E8M0 bytes to bf16, so that other words have no
// place here.
void narrow_scales(const uint8_t *stored, size_t count, uint8_t *out, const std::string &name) {
    const size_t done = bf16_scales_to_e8m0(stored, count, out);
    if (done < count)
        fail(KTB_ERR_FORMAT,
             "%s.scale: bf16 scale 0x%04x at %zu is not a finite power of two, which MXFP4 "
             "requires",
             name.c_str(), load_u16(stored + done * 2), done);
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
        if (const void *nan = std::memchr(out, kE8m0Nan, count); nan != nullptr)
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
            out[i] = f32_to_e8m0(scale);
        else
            std::memcpy(out + i * 2, &word, sizeof word);
    }
}

void check_codes(const MatrixShape &shape, const uint8_t *codes, int begin, int rows,
                 const std::string &name) {
    static constexpr uint8_t kNoScales[kMaximumColumns / kGroup] =
        {};                                    // canonical_scales checks the stored ones
    if (shape.method == Method::mxfp4) return; // every code is a number
    const uint32_t type = method_traits(shape.method).type;
    const size_t bytes = shape.row_bytes();
    for (int row = 0; row < rows; row++, codes += bytes) {
        const char *defect =
            shape.method == Method::bf16 && has_infinite_bf16(codes, size_t(shape.columns))
                ? "a value is not a finite number"
                : row_defect(type, codes, kNoScales, shape.columns);
        if (defect != nullptr)
            fail(KTB_ERR_FORMAT, "%s.weight: row %d: %s", name.c_str(), begin + row, defect);
    }
}

} // namespace ds4::ktb
