#include "experts/packing.h"

#include <cstring>
#include <emmintrin.h>

#include "kernels/kernels.h"

namespace ds4::ktb {
namespace {

constexpr int kPackGroups = kPackChannels / kGroup;
constexpr int kPrefetchBytes = 3 * kPackChannels / 2; // of a row, ahead of its packing

// Row r's codes of kPackGroups groups are 64 bytes at codes[r]. Four groups at once because the rows of a matrix lie a
// power of two apart: their lines fall into few cache sets and do not wait for a second use. Four rows at a time: a 4x4
// transpose of dwords puts dword v of the four rows side by side. The rows are as many streams, more than a core's own
// prefetching follows: they are asked for, into L2 because their lines share too few sets of L1.
void pack_codes(const uint8_t *const *codes, uint8_t *tiles) {
    for (int row = 0; row < kTileRows; row += 4) {
        for (int next = row; next < row + 4; next++) _mm_prefetch(reinterpret_cast<const char *>(codes[next] + kPrefetchBytes), _MM_HINT_T1);
        for (int group = 0; group < kPackGroups; group++) {
            const size_t at = size_t(group) * (kGroup / 2);
            const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i *>(codes[row] + at));
            const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i *>(codes[row + 1] + at));
            const __m128i c = _mm_loadu_si128(reinterpret_cast<const __m128i *>(codes[row + 2] + at));
            const __m128i d = _mm_loadu_si128(reinterpret_cast<const __m128i *>(codes[row + 3] + at));
            const __m128i ab_low = _mm_unpacklo_epi32(a, b), ab_high = _mm_unpackhi_epi32(a, b);
            const __m128i cd_low = _mm_unpacklo_epi32(c, d), cd_high = _mm_unpackhi_epi32(c, d);
            __m128i *out = reinterpret_cast<__m128i *>(tiles + size_t(group) * kTileBytes + (row / 16) * 256 + (row % 16) * 4);
            _mm_store_si128(out, _mm_unpacklo_epi64(ab_low, cd_low));
            _mm_store_si128(out + 4, _mm_unpackhi_epi64(ab_low, cd_low));
            _mm_store_si128(out + 8, _mm_unpacklo_epi64(ab_high, cd_high));
            _mm_store_si128(out + 12, _mm_unpackhi_epi64(ab_high, cd_high));
        }
    }
}

__m128i scales_of_rows(const uint8_t *const *scales) { // of four rows, kPackGroups bytes each
    int words[4];
    for (int row = 0; row < 4; row++) std::memcpy(&words[row], scales[row], sizeof words[row]);
    return _mm_setr_epi32(words[0], words[1], words[2], words[3]);
}

// [row][group] of 16 rows to [group][row]. Interleaving the first 32 of 64 bytes with the last 32 rotates the six bits of
// an address by one; four rotations exchange the four bits of the row with the two of the group.
void pack_scales(const uint8_t *const *scales, uint8_t *tiles) {
    static_assert(kPackGroups == 4);
    for (int row = 0; row < kTileRows; row += 16) {
        __m128i a = scales_of_rows(scales + row), b = scales_of_rows(scales + row + 4), c = scales_of_rows(scales + row + 8), d = scales_of_rows(scales + row + 12);
        for (int turn = 0; turn < 4; turn++) {
            const __m128i ac_low = _mm_unpacklo_epi8(a, c), ac_high = _mm_unpackhi_epi8(a, c);
            const __m128i bd_low = _mm_unpacklo_epi8(b, d), bd_high = _mm_unpackhi_epi8(b, d);
            a = ac_low, b = ac_high, c = bd_low, d = bd_high;
        }
        uint8_t *out = tiles + kTileCodeBytes + row;
        _mm_store_si128(reinterpret_cast<__m128i *>(out), a);
        _mm_store_si128(reinterpret_cast<__m128i *>(out + kTileBytes), b);
        _mm_store_si128(reinterpret_cast<__m128i *>(out + 2 * kTileBytes), c);
        _mm_store_si128(reinterpret_cast<__m128i *>(out + 3 * kTileBytes), d);
    }
}

// Whole lines past the caches: nobody reads them before the layer is complete, and a store that goes through the caches
// first reads the line that it overwrites.
void write_tile(const uint8_t *from, uint8_t *to) {
    const __m128i *in = reinterpret_cast<const __m128i *>(from);
    __m128i *out = reinterpret_cast<__m128i *>(to);
    for (size_t i = 0; i < kTileBytes / sizeof *in; i += 4) {
        const __m128i a = _mm_load_si128(in + i), b = _mm_load_si128(in + i + 1), c = _mm_load_si128(in + i + 2), d = _mm_load_si128(in + i + 3);
        _mm_stream_si128(out + i, a), _mm_stream_si128(out + i + 1, b), _mm_stream_si128(out + i + 2, c), _mm_stream_si128(out + i + 3, d);
    }
}

void pack_mxfp4_strip(TileRows rows, const Strip &strip) {
    alignas(64) uint8_t tiles[kPackGroups * kTileBytes];
    for (int row = 0; row < kTileRows; row++) rows.codes[row] += strip.column / 2, rows.scales[row] += strip.column / kGroup;
    for (int tile = 0; tile < strip.tiles; tile += kPackGroups) {
        pack_codes(rows.codes, tiles);
        pack_scales(rows.scales, tiles);
        for (int group = 0; group < kPackGroups; group++) write_tile(tiles + size_t(group) * kTileBytes, strip.first + size_t(tile + group) * strip.stride);
        for (int row = 0; row < kTileRows; row++) rows.codes[row] += kPackChannels / 2, rows.scales[row] += kPackGroups;
    }
    _mm_sfence(); // such stores are not ordered with the one that reports the layer complete
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
