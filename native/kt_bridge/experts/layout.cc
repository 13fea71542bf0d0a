#include "experts/layout.h"

#include <algorithm>
#include <cstring>
#include <emmintrin.h>

namespace ds4::ktb {

int split_channels(Method method) { return std::max(kSplitChannels, method_traits(method).slice_channels); }

LayerLayout::LayerLayout(Method method, const LayerShape &shape, const std::vector<int> &part_workers) {
    const MethodTraits &traits = method_traits(method);
    const int input_unit = traits.input_unit != 0 ? traits.input_unit : shape.hidden;
    input_groups = shape.hidden / kGroup;
    input_tile_groups = input_unit / kGroup;
    input_tile_bytes = tile_bytes(method, input_unit);
    slice_channels = traits.slice_channels;
    panels = slice_channels / kGroup;
    panel_bytes = size_t(shape.hidden / input_unit) * input_tile_bytes;
    row_tiles = shape.hidden / kTileRows;
    down_tile_bytes = tile_bytes(method, slice_channels);
    down_offset = size_t(panels) * panel_bytes;
    record_bytes = down_offset + size_t(row_tiles) * down_tile_bytes;
    int64_t workers = 0, before = 0;
    for (int count : part_workers) workers += count;
    const int split = split_channels(method);
    const int64_t units = shape.inner / split;
    for (int count : part_workers) {
        slice_begin.push_back(int(units * before / workers) * (split / slice_channels));
        before += count;
    }
    slice_begin.push_back(shape.inner / slice_channels);
}

// Four rows at a time: a 4x4 transpose of dwords puts dword v of the four rows side by side.
void pack_tiles(const uint8_t *const *codes, const uint8_t *const *scales, uint8_t *tile, size_t stride) {
    for (int row = 0; row < kTileRows; row += 4)
        for (int group = 0; group < kPackGroups; group++) {
            const size_t at = size_t(group) * (kGroup / 2);
            const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i *>(codes[row] + at));
            const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i *>(codes[row + 1] + at));
            const __m128i c = _mm_loadu_si128(reinterpret_cast<const __m128i *>(codes[row + 2] + at));
            const __m128i d = _mm_loadu_si128(reinterpret_cast<const __m128i *>(codes[row + 3] + at));
            const __m128i ab_low = _mm_unpacklo_epi32(a, b), ab_high = _mm_unpackhi_epi32(a, b);
            const __m128i cd_low = _mm_unpacklo_epi32(c, d), cd_high = _mm_unpackhi_epi32(c, d);
            __m128i *out = reinterpret_cast<__m128i *>(tile + size_t(group) * stride + (row / 16) * 256 + (row % 16) * 4);
            _mm_store_si128(out, _mm_unpacklo_epi64(ab_low, cd_low));
            _mm_store_si128(out + 4, _mm_unpackhi_epi64(ab_low, cd_low));
            _mm_store_si128(out + 8, _mm_unpacklo_epi64(ab_high, cd_high));
            _mm_store_si128(out + 12, _mm_unpackhi_epi64(ab_high, cd_high));
        }
    for (int row = 0; row < kTileRows; row++)
        for (int group = 0; group < kPackGroups; group++) tile[size_t(group) * stride + kTileCodeBytes + size_t(row)] = scales[row][group];
}

uint8_t unpack_row(const uint8_t *tile, int row, uint8_t *codes) {
    for (int v = 0; v < 4; v++) std::memcpy(codes + v * 4, tile + ((row / 16) * 4 + v) * 64 + (row % 16) * 4, 4);
    return tile[kTileCodeBytes + size_t(row)];
}

} // namespace ds4::ktb
