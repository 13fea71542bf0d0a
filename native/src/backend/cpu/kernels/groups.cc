#include "backend/cpu/kernels/groups.h"

#include <cstring>

#include "backend/cpu/kernels/operands.h"
#include "format/blocks.h"
#include "format/iq2xxs.h"
#include "format/scalar.h"

#include "ds4.h"

namespace ds4::cpu {
namespace {

// Index of channel i of block b in the storage of a group.
constexpr int place(int block, int i) { return (i < 16 ? 0 : 48) + 16 * block + i; }

// Number of the group's four blocks that the row has.
int blocks_in_group(int64_t group, int64_t cols) {
    const int64_t left = cols / 32 - group * kGroupBlocks;
    return int(left < kGroupBlocks ? left : kGroupBlocks);
}

void decode_q8_0(const BlockRow &row, int64_t group, int64_t cols, CodeGroup &out) {
    out = CodeGroup{};
    const auto *block = reinterpret_cast<const BlockQ8_0 *>(row.data) + group * kGroupBlocks;
    for (int b = 0; b < blocks_in_group(group, cols); b++) {
        out.scales[b] = f16_to_f32(load_u16(block[b].d));
        std::memcpy(out.codes + place(b, 0), block[b].q, 16);
        std::memcpy(out.codes + place(b, 16), block[b].q + 16, 16);
    }
}

// Codes are twice the E2M1 value, so scales are halved; 2^-128 is still exact.
void decode_mxfp4(const BlockRow &row, int64_t group, int64_t cols, CodeGroup &out) {
    out = CodeGroup{};
    const auto *block = reinterpret_cast<const BlockMxfp4 *>(row.data) + group * kGroupBlocks;
    for (int b = 0; b < blocks_in_group(group, cols); b++) {
        out.scales[b] = 0.5f * e8m0_to_f32(block[b].e);
        for (int i = 0; i < 16; i++) {
            out.codes[place(b, i)] = kE2m1Doubled[block[b].q[i] & 15];
            out.codes[place(b, i + 16)] = kE2m1Doubled[block[b].q[i] >> 4];
        }
    }
}

void decode_fp4_packed(const BlockRow &row, int64_t group, int64_t cols, CodeGroup &out) {
    out = CodeGroup{};
    for (int b = 0; b < blocks_in_group(group, cols); b++) {
        const int64_t block = group * kGroupBlocks + b;
        out.scales[b] = 0.5f * e8m0_to_f32(row.scales[block]);
        for (int i = 0; i < 32; i++) {
            const uint8_t pair = row.data[block * 16 + i / 2];
            out.codes[place(b, i)] = kE2m1Doubled[i % 2 == 0 ? pair & 15 : pair >> 4];
        }
    }
}

// The code takes the 4-bit scale in and is at most 45; d is common to the block.
void decode_q2k(const BlockRow &row, int64_t group, int64_t cols, CodeGroup &out) {
    const auto &block = reinterpret_cast<const BlockQ2K *>(row.data)[group / 2];
    const int half = int(group % 2);
    for (int b = 0; b < 4; b++) out.scales[b] = f16_to_f32(load_u16(block.d));
    out.min_scale = f16_to_f32(load_u16(block.dmin));
    for (int sixteenth = 0; sixteenth < 8; sixteenth++) {
        const int b = sixteenth / 2, first = sixteenth % 2 * 16;
        const uint8_t scale = block.scales[8 * half + sixteenth];
        out.mins[sixteenth % 2 * 4 + b] = scale >> 4;
        for (int i = first; i < first + 16; i++)
            out.codes[place(b, i)] =
                int8_t((scale & 15) * ((block.q[32 * half + i] >> (2 * b)) & 3));
    }
}

void decode_q4k(const BlockRow &row, int64_t group, int64_t cols, CodeGroup &out) {
    const auto &block = reinterpret_cast<const BlockQ4K *>(row.data)[group / 2];
    const int half = int(group % 2);
    const float d = f16_to_f32(load_u16(block.d));
    out.min_scale = f16_to_f32(load_u16(block.dmin));
    for (int b = 0; b < 4; b++) {
        const int j = 4 * half + b;
        const Q4KScale s = q4k_scale(block.scales, j);
        out.scales[b] = d * float(s.scale);
        out.mins[b] = out.mins[4 + b] = s.min;
        const uint8_t *q = block.q + 32 * (j / 2);
        for (int i = 0; i < 32; i++)
            out.codes[place(b, i)] = int8_t(j % 2 == 0 ? q[i] & 15 : q[i] >> 4);
    }
}

void decode_iq2xxs(const BlockRow &row, int64_t group, int64_t cols, CodeGroup &out) {
    const auto &block = reinterpret_cast<const BlockIq2Xxs *>(row.data)[group / 2];
    const float d = f16_to_f32(load_u16(block.d));
    out.min_scale = 0.0f;
    std::memset(out.mins, 0, sizeof out.mins);
    for (int b = 0; b < 4; b++) {
        const uint8_t *bytes = block.groups[group % 2 * 4 + b];
        const uint32_t word = load_u32(bytes + 4);
        out.scales[b] = d * (0.5f + float(word >> 28)) * 0.25f;
        for (int i = 0; i < 32; i++) {
            const int code = int((kIq2XxsGrid.rows[bytes[i / 8]] >> (i % 8 * 8)) & 255u);
            const bool negative = (iq2xxs_signs((word >> (i / 8 * 7)) & 127u) >> (i % 8)) & 1;
            out.codes[place(b, i)] = int8_t(negative ? -code : code);
        }
    }
}

} // namespace

GroupDecoder group_decoder(uint32_t type) {
    switch (type) {
    case DS4_TYPE_Q8_0: return decode_q8_0;
    case DS4_TYPE_MXFP4: return decode_mxfp4;
    case DS4_TYPE_FP4_PACKED: return decode_fp4_packed;
    case DS4_TYPE_Q2_K: return decode_q2k;
    case DS4_TYPE_Q4_K: return decode_q4k;
    case DS4_TYPE_IQ2_XXS: return decode_iq2xxs;
    default: return nullptr;
    }
}

} // namespace ds4::cpu
