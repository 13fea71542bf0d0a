#include "experts/packing.h"

#include <cstring>
#include <emmintrin.h>

#include "kernels/kernels.h"

namespace ds4::ktb {
namespace {

constexpr int kPackGroups = kPackChannels / kGroup;

// Row r's codes of kPackGroups groups are 64 bytes at codes[r], their scales 4 bytes at scales[r]. Four groups at once
// because the rows of a matrix lie a power of two apart: their lines fall into few cache sets and do not wait for a
// second use. Four rows at a time: a 4x4 transpose of dwords puts dword v of the four rows side by side.
void pack_mxfp4(const uint8_t *const *codes, const uint8_t *const *scales, uint8_t *tile, size_t stride) {
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

void pack_mxfp4_strip(TileRows rows, const Strip &strip) {
    for (int row = 0; row < kTileRows; row++) rows.codes[row] += strip.column / 2, rows.scales[row] += strip.column / kGroup;
    for (int tile = 0; tile < strip.tiles; tile += kPackGroups) {
        pack_mxfp4(rows.codes, rows.scales, strip.first + size_t(tile) * strip.stride, strip.stride);
        for (int row = 0; row < kTileRows; row++) rows.codes[row] += kPackChannels / 2, rows.scales[row] += kPackGroups;
    }
}

} // namespace

void pack_strip(Method method, const TileRows &rows, const Strip &strip) {
    if (method == Method::mxfp4) return pack_mxfp4_strip(rows, strip);
    const size_t piece = row_bytes(method, strip.inputs), begin = row_bytes(method, strip.column);
    const size_t scale_piece = scale_row_bytes(method, strip.inputs);
    // one scale a row, or one per 128 inputs for each half of the rows
    const int scaled_rows = scale_piece == 0 ? 0 : method == Method::fp8_perchannel ? kTileRows : 2;
    const size_t scale_begin = method == Method::fp8_perchannel ? 0 : scale_row_bytes(method, strip.column);
    for (int row = 0; row < kTileRows; row++)
        for (int tile = 0; tile < strip.tiles; tile++)
            std::memcpy(strip.first + size_t(tile) * strip.stride + size_t(row) * piece, rows.codes[row] + begin + size_t(tile) * piece, piece);
    for (int tile = 0; tile < strip.tiles && scaled_rows > 0; tile++) {
        uint8_t *out = strip.first + size_t(tile) * strip.stride + size_t(kTileRows) * piece;
        const size_t from = scale_begin + (method == Method::fp8_perchannel ? 0 : size_t(tile) * scale_piece);
        for (int i = 0; i < scaled_rows; i++) std::memcpy(out + size_t(i) * scale_piece, rows.scales[i * (kTileRows / scaled_rows)] + from, scale_piece);
    }
}

void unpack_row(Method method, const uint8_t *tile, int inputs, int row, uint8_t *codes, uint8_t *scales) {
    if (method == Method::mxfp4) {
        for (int group = 0; group < inputs / kGroup; group++, tile += kTileBytes, codes += kGroup / 2) {
            for (int v = 0; v < 4; v++) std::memcpy(codes + v * 4, tile + ((row / 16) * 4 + v) * 64 + (row % 16) * 4, 4);
            scales[group] = tile[kTileCodeBytes + size_t(row)];
        }
        return;
    }
    const size_t piece = row_bytes(method, inputs), scale_piece = scale_row_bytes(method, inputs);
    std::memcpy(codes, tile + size_t(row) * piece, piece);
    const int scale_row = method == Method::fp8_perchannel ? row : row / (kTileRows / 2);
    if (scale_piece != 0) std::memcpy(scales, tile + size_t(kTileRows) * piece + size_t(scale_row) * scale_piece, scale_piece);
}

} // namespace ds4::ktb
