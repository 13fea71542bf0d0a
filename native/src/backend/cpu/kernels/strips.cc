#include "backend/cpu/kernels/strips.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ds4.h"
#include "format/blocks.h"
#include "format/convert.h"
#include "format/scalar.h"
#include "machine/instruction_sets.h"

namespace ds4::cpu {
namespace {

// Two blocks of 32 inputs of row `lane` of a strip.
void pack_q8_0(const BlockQ8_0 *blocks, int64_t count, int lane, uint8_t *tile) {
    for (int64_t half = 0; half < count; half++) {
        for (int i = 0; i < 32; i++)
            tile[half * 512 + i / 4 * 64 + lane * 4 + i % 4] =
                uint8_t(uint8_t(blocks[half].q[i]) ^ 0x80u);
        std::memcpy(tile + kQ8CodeBytes + half * 32 + lane * 2, &blocks[half].d, 2);
    }
}

void pack_q8_0_strip(const Matrix &weight, int64_t strip, uint8_t *out) {
    const int64_t tiles = strip_tiles(weight.cols), blocks = weight.cols / 32,
                  row_size = int64_t(row_bytes(weight.type, uint64_t(weight.cols)));
    for (int64_t tile = 0; tile < tiles; tile++) {
        std::memset(out + tile * kQ8TileBytes, 0x80, size_t(kQ8CodeBytes));
        std::memset(out + tile * kQ8TileBytes + kQ8CodeBytes, 0,
                    size_t(kQ8TileBytes - kQ8CodeBytes));
    }
    for (int lane = 0; lane < kStripRows; lane++) {
        const int64_t row = strip * kStripRows + lane;
        if (row >= weight.rows) break;
        const auto *source = reinterpret_cast<const BlockQ8_0 *>(weight.data + row * row_size);
        for (int64_t tile = 0; tile < tiles; tile++)
            pack_q8_0(source + 2 * tile, blocks - 2 * tile < 2 ? 1 : 2, lane,
                      out + tile * kQ8TileBytes);
    }
}

void pack_f8_strip(const Matrix &weight, int64_t strip, uint8_t *out) {
    std::memset(out, 0, size_t(strip_tiles(weight.cols) * kF8TileBytes));
    for (int lane = 0; lane < kStripRows; lane++) {
        const int64_t row = strip * kStripRows + lane;
        if (row >= weight.rows) break;
        const uint8_t *codes = weight.data + row * weight.cols;
        uint8_t *place = out + lane / 4 * 16 + lane % 4 * 2;
        for (int64_t i = 0; i < weight.cols; i++)
            place[i / 4 * 64 + i % 4 / 2 * 8 + i % 2] = codes[i];
    }
}

int64_t tile_bytes_of(uint32_t type) {
    return type == DS4_TYPE_Q8_0 ? kQ8TileBytes : type == DS4_TYPE_F8_E4M3 ? kF8TileBytes : 0;
}

} // namespace

bool has_strips(uint32_t type, Isa isa) {
    if (isa < Isa::avx512) return false;
    return type == DS4_TYPE_Q8_0 || (type == DS4_TYPE_F8_E4M3 && machine::has_avx512_bf16());
}

bool is_packable(const Matrix &weight, int64_t strip) {
    if (weight.type != DS4_TYPE_F8_E4M3) return true;
    const int64_t count = (weight.cols + 127) / 128;
    const uint8_t *scales = weight.scales + strip * kStripRows / 128 * count;
    return std::all_of(scales, scales + count, [](uint8_t scale) {
        return scale >= kLeastStripScale && scale <= kLargestStripScale;
    });
}

RowsFunction strips_function(uint32_t type, Isa isa) {
    if (type == DS4_TYPE_F8_E4M3)
        return machine::has(Isa::amx) ? strips_f8_amx : strips_f8_avx512bf16;
    return isa >= Isa::avx512 ? strips_q8_0_avx512 : strips_q8_0_generic;
}

uint64_t packed_bytes(uint32_t type, int64_t rows, int64_t cols) {
    return uint64_t((rows + kStripRows - 1) / kStripRows * strip_tiles(cols) * tile_bytes_of(type));
}

void pack_strip(const Matrix &weight, int64_t strip, uint8_t *out) {
    if (weight.type == DS4_TYPE_F8_E4M3) return pack_f8_strip(weight, strip, out);
    pack_q8_0_strip(weight, strip, out);
}

void strips_q8_0_generic(const RowsTask &task) {
    const int64_t tiles = strip_tiles(task.weight.cols);
    for (int64_t row = task.row_begin; row < task.row_end; row++) {
        const uint8_t *strip = task.weight.strips + row / kStripRows * tiles * kQ8TileBytes;
        const int64_t lane = row % kStripRows;
        for (int64_t t = 0; t < task.count; t++) {
            const ActivationGroup *x = token_groups(task, t);
            float sum = 0.0f;
            for (int64_t group = 0; group < task.weight.cols / 32; group++) {
                const uint8_t *tile = strip + group / 2 * kQ8TileBytes;
                const int8_t *quants = x[group / 4].quants + group % 4 * 16;
                int32_t dot = 0;
                for (int i = 0; i < 32; i++)
                    dot += (int32_t(tile[group % 2 * 512 + i / 4 * 64 + lane * 4 + i % 4]) - 128) *
                           quants[i < 16 ? i : i + 48];
                const float scale =
                    f16_to_f32(load_u16(tile + kQ8CodeBytes + group % 2 * 32 + lane * 2));
                sum = std::fmaf(float(dot) * scale, x[group / 4].scales[group % 4], sum);
            }
            task.y[t * task.y_stride + row] = sum;
        }
    }
}

} // namespace ds4::cpu
