#include "experts/loading/packing.h"

#include <cstring>
#include <emmintrin.h>

#include "experts/loading/packing_mxfp4.h"
#include "kernels/kernels.h"
#include "machine/instruction_sets.h"

namespace ds4::ktb {
namespace {

constexpr int kPackGroups = kPackChannels / kGroup;

PackCodes pack_codes_here() { return machine::has(Isa::avx2) ? pack_codes_avx2 : pack_codes_plain; }

// Stores 16 bytes at 16 * index.
inline void put(uint8_t *line, int index, __m128i value) {
    __m128i *at = reinterpret_cast<__m128i *>(line) + index;
    if constexpr (kPastCaches)
        _mm_stream_si128(at, value);
    else
        _mm_store_si128(at, value);
}

// Scales of four rows, kPackGroups bytes each.
__m128i scales_of_rows(const uint8_t *const *scales) {
    int words[4];
    for (int row = 0; row < 4; row++) std::memcpy(&words[row], scales[row], sizeof words[row]);
    return _mm_setr_epi32(words[0], words[1], words[2], words[3]);
}

// Turns [row][group] of 16 rows into [group][row]. Interleaving the first 32 of 64 bytes with the
// last 32 rotates the six bits of an address by one. Four rotations exchange the four bits of the
// row with the two of the group.
void pack_scales(const uint8_t *const *scales, uint8_t *first, size_t stride) {
    static_assert(kPackGroups == 4);
    __m128i lines[kPackGroups][4]; // [group][sixteen rows]
    for (int row = 0; row < kTileRows; row += 16) {
        __m128i a = scales_of_rows(scales + row), b = scales_of_rows(scales + row + 4),
                c = scales_of_rows(scales + row + 8), d = scales_of_rows(scales + row + 12);
        for (int turn = 0; turn < 4; turn++) {
            const __m128i ac_low = _mm_unpacklo_epi8(a, c), ac_high = _mm_unpackhi_epi8(a, c);
            const __m128i bd_low = _mm_unpacklo_epi8(b, d), bd_high = _mm_unpackhi_epi8(b, d);
            a = ac_low, b = ac_high, c = bd_low, d = bd_high;
        }
        lines[0][row / 16] = a, lines[1][row / 16] = b, lines[2][row / 16] = c,
                       lines[3][row / 16] = d;
    }
    for (int group = 0; group < kPackGroups; group++)
        for (int i = 0; i < 4; i++)
            put(first + size_t(group) * stride + kTileCodeBytes, i, lines[group][i]);
}

void pack_mxfp4_strip(TileRows rows, const Strip &strip) {
    static const PackCodes pack_codes = pack_codes_here();
    for (int row = 0; row < kTileRows; row++)
        rows.codes[row] += strip.column / 2, rows.scales[row] += strip.column / kGroup;
    for (int tile = 0; tile < strip.tiles; tile += kPackGroups) {
        uint8_t *first = strip.first + size_t(tile) * strip.stride;
        pack_codes(rows.codes, first, strip.stride);
        pack_scales(rows.scales, first, strip.stride);
        for (int row = 0; row < kTileRows; row++)
            rows.codes[row] += kPackChannels / 2, rows.scales[row] += kPackGroups;
    }
    _mm_sfence(); // orders these stores before the one that reports the layer complete
}

} // namespace

// Row r's codes of kPackGroups groups are 64 bytes at codes[r]. Four groups are packed at once,
// because the rows of a matrix lie a power of two apart. Their lines fall into few cache sets and
// do not wait there for a second use. Four rows are transposed at a time, as 4x4 dwords, which puts
// dword v of the four rows side by side. The rows are more streams than a core's own prefetching
// follows. Prefetches go to L2, because the lines share too few sets of L1. Stores go past the
// caches. Nobody reads them before the layer is complete, and ordinary stores would first read the
// line.
void pack_codes_plain(const uint8_t *const *codes, uint8_t *first, size_t stride) {
    for (int row = 0; row < kTileRows; row += 16) {
        __m128i lines[kPackGroups][4][4]; // [group][dword of the group][four rows]
        for (int next = row; next < row + 16; next++)
            _mm_prefetch(reinterpret_cast<const char *>(codes[next] + kPackPrefetchBytes),
                         _MM_HINT_T1);
        for (int four = 0; four < 4; four++)
            for (int group = 0; group < kPackGroups; group++) {
                const auto load = [&](int i) {
                    return _mm_loadu_si128(reinterpret_cast<const __m128i *>(
                        codes[row + four * 4 + i] + group * (kGroup / 2)));
                };
                const __m128i a = load(0), b = load(1), c = load(2), d = load(3);
                const __m128i ab_low = _mm_unpacklo_epi32(a, b), ab_high = _mm_unpackhi_epi32(a, b);
                const __m128i cd_low = _mm_unpacklo_epi32(c, d), cd_high = _mm_unpackhi_epi32(c, d);
                lines[group][0][four] = _mm_unpacklo_epi64(ab_low, cd_low);
                lines[group][1][four] = _mm_unpackhi_epi64(ab_low, cd_low);
                lines[group][2][four] = _mm_unpacklo_epi64(ab_high, cd_high);
                lines[group][3][four] = _mm_unpackhi_epi64(ab_high, cd_high);
            }
        for (int group = 0; group < kPackGroups; group++)
            for (int v = 0; v < 4; v++)
                for (int four = 0; four < 4; four++)
                    put(first + size_t(group) * stride + size_t(row / 16 * 4 + v) * 64, four,
                        lines[group][v][four]);
    }
}

void pack_strip(Method method, const TileRows &rows, const Strip &strip) {
    if (method == Method::mxfp4) return pack_mxfp4_strip(rows, strip);
    const size_t piece = row_bytes(method, strip.inputs), begin = row_bytes(method, strip.column);
    const size_t scale_piece = scale_row_bytes(method, strip.inputs);
    // There is one scale a row, or one per 128 inputs for each half of the rows.
    const int scaled_rows = scale_piece == 0 ? 0 : method == Method::fp8_perchannel ? kTileRows : 2;
    const size_t scale_begin =
        method == Method::fp8_perchannel ? 0 : scale_row_bytes(method, strip.column);
    for (int row = 0; row < kTileRows; row++)
        for (int tile = 0; tile < strip.tiles; tile++)
            std::memcpy(strip.first + size_t(tile) * strip.stride + size_t(row) * piece,
                        rows.codes[row] + begin + size_t(tile) * piece, piece);
    for (int tile = 0; tile < strip.tiles && scaled_rows > 0; tile++) {
        uint8_t *out = strip.first + size_t(tile) * strip.stride + size_t(kTileRows) * piece;
        const size_t from =
            scale_begin + (method == Method::fp8_perchannel ? 0 : size_t(tile) * scale_piece);
        for (int i = 0; i < scaled_rows; i++)
            std::memcpy(out + size_t(i) * scale_piece,
                        rows.scales[i * (kTileRows / scaled_rows)] + from, scale_piece);
    }
}

void unpack_row(Method method, const uint8_t *tile, int inputs, int row, uint8_t *codes,
                uint8_t *scales) {
    if (method == Method::mxfp4) {
        for (int group = 0; group < inputs / kGroup;
             group++, tile += kTileBytes, codes += kGroup / 2) {
            for (int v = 0; v < 4; v++)
                std::memcpy(codes + v * 4, tile + ((row / 16) * 4 + v) * 64 + (row % 16) * 4, 4);
            scales[group] = tile[kTileCodeBytes + size_t(row)];
        }
        return;
    }
    const size_t piece = row_bytes(method, inputs), scale_piece = scale_row_bytes(method, inputs);
    std::memcpy(codes, tile + size_t(row) * piece, piece);
    const int scale_row = method == Method::fp8_perchannel ? row : row / (kTileRows / 2);
    if (scale_piece != 0)
        std::memcpy(scales, tile + size_t(kTileRows) * piece + size_t(scale_row) * scale_piece,
                    scale_piece);
}

} // namespace ds4::ktb
