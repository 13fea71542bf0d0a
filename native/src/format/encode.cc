#include "format/encode.h"

#include <cmath>
#include <cstring>

#include "ds4.h"
#include "format/blocks.h"
#include "format/scalar.h"

#include "base/fail.h"

namespace ds4 {
namespace {

constexpr const char *kOverflow = "a value is too large for the type";

// Both 16-bit types. A value becomes infinite only when it is infinite.
template <uint16_t (*Encode)(float), uint16_t Infinity>
const char *encode_half(const float *in, uint8_t *out, int64_t cols) {
    for (int64_t i = 0; i < cols; i++) {
        const uint16_t half = Encode(in[i]);
        if ((half & 0x7fffu) == Infinity && std::isfinite(in[i])) return kOverflow;
        std::memcpy(out + 2 * i, &half, sizeof half);
    }
    return nullptr;
}

// The scale amax / 127 is kept as f16. Codes are rounded with the reciprocal of the unrounded
// scale, as ggml's reference does. Files of either are therefore the same bytes.
const char *encode_q8_0(const float *in, uint8_t *out, int64_t cols) {
    auto *block = reinterpret_cast<BlockQ8_0 *>(out);
    for (int64_t base = 0; base < cols; base += 32, block++) {
        float largest = 0.0f;
        for (int i = 0; i < 32; i++) {
            if (!std::isfinite(in[base + i])) return "a value is not finite";
            largest = std::fmax(largest, std::fabs(in[base + i]));
        }
        const float scale = largest / 127.0f;
        const float inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
        const uint16_t half = f32_to_f16(scale);
        if (half == 0x7c00u) return kOverflow;
        std::memcpy(block->d, &half, sizeof half);
        for (int i = 0; i < 32; i++) {
            // A scale below 2^-128 has an infinite reciprocal. Its f16 form is 0, and the codes do
            // not matter.
            const float code = std::isfinite(inverse) ? std::round(in[base + i] * inverse) : 0.0f;
            block->q[i] = int8_t(code);
        }
    }
    return nullptr;
}

} // namespace

bool can_encode(uint32_t type) {
    return type == DS4_TYPE_F32 || type == DS4_TYPE_F16 || type == DS4_TYPE_BF16 ||
           type == DS4_TYPE_Q8_0;
}

const char *encode_row(uint32_t type, const float *in, uint8_t *out, int64_t cols) {
    switch (type) {
    case DS4_TYPE_F32: std::memcpy(out, in, size_t(cols) * sizeof(float)); return nullptr;
    case DS4_TYPE_F16: return encode_half<f32_to_f16, 0x7c00>(in, out, cols);
    case DS4_TYPE_BF16: return encode_half<f32_to_bf16, 0x7f80>(in, out, cols);
    case DS4_TYPE_Q8_0: return encode_q8_0(in, out, cols);
    default: fail(DS4_ERR_ARGUMENT, "tensor type %u cannot be written from f32 values", type);
    }
}

void fp4_packed_to_mxfp4(const uint8_t *codes, const uint8_t *scales, uint8_t *out, int64_t cols) {
    auto *block = reinterpret_cast<BlockMxfp4 *>(out);
    for (int64_t base = 0; base < cols; base += 32, block++) {
        const uint8_t *pairs = codes + base / 2; // values 2j, 2j + 1 in pairs[j]
        block->e = scales[base / 32];
        for (int j = 0; j < 16; j++) {
            const int shift = j % 2 * 4;
            const uint32_t low = uint32_t(pairs[j / 2]) >> shift,
                           high = uint32_t(pairs[j / 2 + 8]) >> shift;
            block->q[j] = uint8_t((low & 15u) | ((high & 15u) << 4));
        }
    }
}

void mxfp4_to_fp4_packed(const uint8_t *blocks, uint8_t *codes, uint8_t *scales, int64_t cols) {
    const auto *block = reinterpret_cast<const BlockMxfp4 *>(blocks);
    for (int64_t base = 0; base < cols; base += 32, block++, codes += 16) {
        if (scales != nullptr) scales[base / 32] = block->e;
        for (int j = 0; j < 8; j++) {
            const uint32_t even = block->q[2 * j], odd = block->q[2 * j + 1];
            codes[j] = uint8_t((even & 15u) | ((odd & 15u) << 4));
            codes[j + 8] = uint8_t((even >> 4) | (odd & 0xf0u));
        }
    }
}

} // namespace ds4
