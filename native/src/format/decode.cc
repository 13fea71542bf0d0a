// The plain decoders compute one value after another by the documented formulas. They are the
// reference of every fast kernel. Each value is the exact product or, for types with a minimum, the
// exact difference rounded once.
#include "ds4.h"
#include "format/blocks.h"
#include "format/convert.h"
#include "format/iq2xxs.h"
#include "format/scalar.h"

#include "base/fail.h"

namespace ds4 {
namespace {

void decode_f16(const uint8_t *row, float *out, int64_t cols) {
    for (int64_t i = 0; i < cols; i++) out[i] = f16_to_f32(load_u16(row + 2 * i));
}

void decode_bf16(const uint8_t *row, float *out, int64_t cols) {
    for (int64_t i = 0; i < cols; i++) out[i] = bf16_to_f32(load_u16(row + 2 * i));
}

void decode_q8_0(const uint8_t *row, float *out, int64_t cols) {
    const auto *block = reinterpret_cast<const BlockQ8_0 *>(row);
    for (int64_t i = 0; i < cols; i += 32, block++) {
        const float d = f16_to_f32(load_u16(block->d));
        for (int j = 0; j < 32; j++) out[i + j] = d * float(block->q[j]);
    }
}

// Both products of the K types have at most 22 significant bits, so only the difference rounds.
void decode_q2k(const uint8_t *row, float *out, int64_t cols) {
    const auto *block = reinterpret_cast<const BlockQ2K *>(row);
    for (int64_t base = 0; base < cols; base += 256, block++) {
        const float d = f16_to_f32(load_u16(block->d)), dmin = f16_to_f32(load_u16(block->dmin));
        for (int i = 0; i < 256; i++) {
            const int half = i / 128, shift = i % 128 / 32 * 2, column = i % 32;
            const int q = (block->q[32 * half + column] >> shift) & 3;
            const int scale = block->scales[i / 16];
            out[base + i] = d * float((scale & 15) * q) - dmin * float(scale >> 4);
        }
    }
}

void decode_q4k(const uint8_t *row, float *out, int64_t cols) {
    const auto *block = reinterpret_cast<const BlockQ4K *>(row);
    for (int64_t base = 0; base < cols; base += 256, block++) {
        const float d = f16_to_f32(load_u16(block->d)), dmin = f16_to_f32(load_u16(block->dmin));
        for (int j = 0; j < 8; j++) {
            const Q4KScale s = q4k_scale(block->scales, j);
            const float scale = d * float(s.scale), min = dmin * float(s.min);
            const uint8_t *q = block->q + 32 * (j / 2);
            for (int i = 0; i < 32; i++) {
                const int code = j % 2 == 0 ? q[i] & 15 : q[i] >> 4;
                out[base + 32 * j + i] = scale * float(code) - min;
            }
        }
    }
}

void decode_iq2xxs(const uint8_t *row, float *out, int64_t cols) {
    const auto *block = reinterpret_cast<const BlockIq2Xxs *>(row);
    for (int64_t base = 0; base < cols; base += 256, block++) {
        const float d = f16_to_f32(load_u16(block->d));
        for (int g = 0; g < 8; g++) {
            const uint8_t *group = block->groups[g];
            const uint32_t word = load_u32(group + 4);
            const float scale = d * (0.5f + float(word >> 28)) * 0.25f;
            for (int k = 0; k < 4; k++) {
                const uint64_t grid = kIq2XxsGrid.rows[group[k]];
                const uint8_t signs = iq2xxs_signs((word >> (7 * k)) & 127u);
                for (int j = 0; j < 8; j++) {
                    const float value = scale * float((grid >> (8 * j)) & 255u);
                    out[base + 32 * g + 8 * k + j] = (signs >> j) & 1 ? -value : value;
                }
            }
        }
    }
}

void decode_mxfp4(const uint8_t *row, float *out, int64_t cols) {
    const auto *block = reinterpret_cast<const BlockMxfp4 *>(row);
    for (int64_t i = 0; i < cols; i += 32, block++) {
        const float scale = e8m0_to_f32(block->e);
        for (int j = 0; j < 16; j++) {
            out[i + j] = scale * e2m1_to_f32(block->q[j] & 15);
            out[i + j + 16] = scale * e2m1_to_f32(block->q[j] >> 4);
        }
    }
}

void decode_fp4_packed(const uint8_t *row, const uint8_t *scales, float *out, int64_t cols) {
    for (int64_t i = 0; i < cols; i += 32) {
        const float scale = e8m0_to_f32(scales[i / 32]);
        for (int j = 0; j < 16; j++) {
            out[i + 2 * j] = scale * e2m1_to_f32(row[i / 2 + j] & 15);
            out[i + 2 * j + 1] = scale * e2m1_to_f32(row[i / 2 + j] >> 4);
        }
    }
}

void decode_f8_e4m3(const uint8_t *row, const uint8_t *scales, float *out, int64_t cols) {
    for (int64_t i = 0; i < cols; i++) out[i] = e8m0_to_f32(scales[i / 128]) * e4m3_to_f32(row[i]);
}

} // namespace

void decode_row(uint32_t type, const uint8_t *row, const uint8_t *scales, float *out,
                int64_t cols) {
    switch (type) {
    case DS4_TYPE_F32: std::memcpy(out, row, size_t(cols) * sizeof(float)); return;
    case DS4_TYPE_F16: decode_f16(row, out, cols); return;
    case DS4_TYPE_BF16: decode_bf16(row, out, cols); return;
    case DS4_TYPE_Q8_0: decode_q8_0(row, out, cols); return;
    case DS4_TYPE_Q2_K: decode_q2k(row, out, cols); return;
    case DS4_TYPE_Q4_K: decode_q4k(row, out, cols); return;
    case DS4_TYPE_IQ2_XXS: decode_iq2xxs(row, out, cols); return;
    case DS4_TYPE_MXFP4: decode_mxfp4(row, out, cols); return;
    case DS4_TYPE_F8_E4M3: decode_f8_e4m3(row, scales, out, cols); return;
    case DS4_TYPE_FP4_PACKED: decode_fp4_packed(row, scales, out, cols); return;
    default: fail(DS4_ERR_FORMAT, "tensor type %u has no float values", type);
    }
}

} // namespace ds4
