// Strips of F8_E4M3 times bf16 activations on tile registers. A group of 32 inputs of a strip is
// decoded with its scale to one tile of the second operand. That tile has 16 rows of pairs for 16
// output rows.
#include "backend/cpu/kernels/e4m3_bf16.h"
#include "backend/cpu/kernels/strips.h"
#include "backend/cpu/kernels/tile_registers.h"

namespace ds4::cpu {
namespace {

constexpr int kBlockTokens = 16;
// Registers 0 to 3 hold sums and 4 and 5 activations, both of some tokens; 6 and 7 weights.
constexpr int kOperands = 6;
constexpr int64_t kGroupBytes = 1024; // a decoded group of 32 inputs
constexpr int64_t kBlockTiles = 8;    // of 64 inputs: decoded, a pair of strips takes 32 KB
constexpr int64_t kPanelTokens = 256;
constexpr int64_t kSumStride = 32 * sizeof(float); // of a token: a pair of strips
constexpr int64_t kPrefetchBytes = 8 * kF8TileBytes;

// Two strips, or one twice where the second lies outside of the rows.
struct Strips {
    const uint8_t *first, *second, *scales;
    int64_t tiles;
};

Strips strips_from(const RowsTask &task, int64_t row) {
    const Matrix &weight = task.weight;
    const int64_t tiles = strip_tiles(weight.cols), bytes = tiles * kF8TileBytes;
    const uint8_t *first = weight.strips + row / kStripRows * bytes;
    const bool pair = row % (2 * kStripRows) == 0 && row + kStripRows < task.row_end;
    return {first, pair ? first + bytes : nullptr,
            weight.scales + row / 128 * ((weight.cols + 127) / 128), tiles};
}

// Tile i of a strip as two groups.
inline void decode_tile(const uint8_t *strip, const uint8_t *scales, int64_t i, uint8_t *out) {
    const E4m3Decoder decoder(scales[i / 2]);
    const uint8_t *codes = strip + i * kF8TileBytes;
#pragma GCC unroll 4
    for (int v = 0; v < 16; v++, codes += 64, out += 128) {
        _mm_prefetch(reinterpret_cast<const char *>(codes) + kPrefetchBytes, _MM_HINT_T1);
        __m512i pairs[2];
        decoder.decode(_mm512_load_si512(codes), pairs);
        _mm512_store_si512(out, pairs[0]);
        _mm512_store_si512(out + 64, pairs[1]);
    }
}

// Bytes from a row of activations to the next.
constexpr int64_t kRowStride = kHalvesStride * 2;
constexpr int64_t kRowTiles = kHalvesInputs / kTileInputs;
static_assert(kRowTiles == kBlockTiles);

// The inputs of tile i of the row of a token.
inline const uint8_t *activations(const RowsTask &task, int64_t token, int64_t i) {
    return reinterpret_cast<const uint8_t *>(token_halves(task, token) +
                                             i / kRowTiles * task.x->count * kHalvesStride +
                                             i % kRowTiles * kTileInputs);
}

void copy_out(const RowsTask &task, int64_t token, int count, int64_t row, const float *sums,
              int64_t sum_stride) {
    const int64_t left = task.row_end - row;
    const __mmask16 rows = left >= kStripRows ? __mmask16(0xffff) : __mmask16((1u << left) - 1);
    for (int t = 0; t < count; t++)
        _mm512_mask_storeu_ps(task.y + (token + t) * task.y_stride + row, rows,
                              _mm512_load_ps(sums + t * sum_stride));
}

// Up to 16 tokens: tiles are decoded one ahead of the products.
void few_tokens(const RowsTask &task, int64_t token, int count) {
    alignas(64) uint8_t decoded[2][4 * kGroupBytes];
    alignas(64) float sums[kBlockTokens * 2 * kStripRows];
    for (int64_t row = task.row_begin; row < task.row_end;) {
        const Strips strips = strips_from(task, row);
        const auto decode = [&](int64_t i) {
            decode_tile(strips.first, strips.scales, i, decoded[i % 2]);
            if (strips.second != nullptr)
                decode_tile(strips.second, strips.scales, i, decoded[i % 2] + 2 * kGroupBytes);
        };
        tile_zero<0>(), tile_zero<1>();
        decode(0);
        for (int64_t i = 0; i < strips.tiles; i++) {
            const uint8_t *weights = decoded[i % 2], *values = activations(task, token, i);
            tile_load<4>(values, kRowStride), tile_load<5>(values + 64, kRowStride);
            tile_load<6>(weights, 64);
            tile_dot<0, 4, 6>();
            tile_load<7>(weights + kGroupBytes, 64);
            tile_dot<0, 5, 7>();
            if (strips.second != nullptr) {
                tile_load<6>(weights + 2 * kGroupBytes, 64);
                tile_dot<1, 4, 6>();
                tile_load<7>(weights + 3 * kGroupBytes, 64);
                tile_dot<1, 5, 7>();
            }
            if (i + 1 < strips.tiles) decode(i + 1);
        }
        tile_store<0>(sums, kSumStride), tile_store<1>(sums + kStripRows, kSumStride);
        copy_out(task, token, count, row, sums, 2 * kStripRows);
        if (strips.second != nullptr)
            copy_out(task, token, count, row + kStripRows, sums + kStripRows, 2 * kStripRows);
        row += strips.second != nullptr ? 2 * kStripRows : kStripRows;
    }
}

template <int t> void load_sums(const float *sums, bool starts) {
    if (starts)
        tile_zero<t>();
    else
        tile_load<t>(sums, kSumStride);
}

// Two blocks of 16 tokens times two strips over `groups` decoded groups.
void two_by_two(const uint8_t *values, const uint8_t *weights, const uint8_t *second,
                int64_t groups, float *sums, bool starts) {
    float *next = sums + kBlockTokens * 2 * kStripRows;
    load_sums<0>(sums, starts), load_sums<1>(sums + kStripRows, starts);
    load_sums<2>(next, starts), load_sums<3>(next + kStripRows, starts);
    for (int64_t g = 0; g < groups; g++, values += 64) {
        tile_load<4>(values, kRowStride);
        tile_load<5>(values + kBlockTokens * kRowStride, kRowStride);
        tile_load<6>(weights + g * kGroupBytes, 64);
        tile_load<7>(second + g * kGroupBytes, 64);
        tile_dot<0, 4, 6>(), tile_dot<1, 4, 7>(), tile_dot<2, 5, 6>(), tile_dot<3, 5, 7>();
    }
    tile_store<0>(sums, kSumStride), tile_store<1>(sums + kStripRows, kSumStride);
    tile_store<2>(next, kSumStride), tile_store<3>(next + kStripRows, kSumStride);
}

// One block of 16 tokens.
void one_by_two(const uint8_t *values, const uint8_t *weights, const uint8_t *second,
                int64_t groups, float *sums, bool starts) {
    load_sums<0>(sums, starts), load_sums<1>(sums + kStripRows, starts);
    for (int64_t g = 0; g < groups; g++, values += 64) {
        tile_load<4>(values, kRowStride);
        tile_load<6>(weights + g * kGroupBytes, 64);
        tile_load<7>(second + g * kGroupBytes, 64);
        tile_dot<0, 4, 6>(), tile_dot<1, 4, 7>();
    }
    tile_store<0>(sums, kSumStride), tile_store<1>(sums + kStripRows, kSumStride);
}

// Places of a panel: strips in pairs, and the sums of each pair for all tokens.
constexpr int kPanelPairs = 4;
struct Panel {
    alignas(64) uint8_t decoded[2][kBlockTiles * 2 * kGroupBytes];
    alignas(64) float sums[kPanelPairs][kPanelTokens * 2 * kStripRows];
    Strips strips[kPanelPairs];
    int64_t rows[kPanelPairs];
    int pairs;
};

// Fills in pairs from `row` on and returns the row after them.
int64_t take_pairs(Panel &panel, const RowsTask &task, int64_t row) {
    for (panel.pairs = 0; panel.pairs < kPanelPairs && row < task.row_end; panel.pairs++) {
        const Strips strips = strips_from(task, row);
        panel.strips[panel.pairs] = strips, panel.rows[panel.pairs] = row;
        row += strips.second != nullptr ? 2 * kStripRows : kStripRows;
    }
    return row;
}

// Tiles [begin, begin + tiles) of one pair, decoded once for all tokens.
void multiply_block(Panel &panel, int pair, const RowsTask &task, int64_t token, int count,
                    int64_t begin, int64_t tiles) {
    const Strips &strips = panel.strips[pair];
    for (int64_t i = 0; i < tiles; i++) {
        decode_tile(strips.first, strips.scales, begin + i, panel.decoded[0] + i * 2 * kGroupBytes);
        if (strips.second != nullptr)
            decode_tile(strips.second, strips.scales, begin + i,
                        panel.decoded[1] + i * 2 * kGroupBytes);
    }
    const uint8_t *first = panel.decoded[0],
                  *second = strips.second != nullptr ? panel.decoded[1] : first;
    for (int t = 0; t < count; t += 2 * kBlockTokens) {
        const uint8_t *values = activations(task, token + t, begin);
        float *sums = panel.sums[pair] + t * 2 * kStripRows;
        if (count - t > kBlockTokens)
            two_by_two(values, first, second, 2 * tiles, sums, begin == 0);
        else
            one_by_two(values, first, second, 2 * tiles, sums, begin == 0);
    }
}

// Whole blocks of 16 tokens. Some inputs of all tokens meet several pairs of strips while they are
// in the second-level cache.
void many_tokens(const RowsTask &task, int64_t token, int count) {
    Panel panel;
    const int64_t all = strip_tiles(task.weight.cols);
    for (int64_t row = task.row_begin; row < task.row_end;) {
        row = take_pairs(panel, task, row);
        for (int64_t begin = 0; begin < all; begin += kBlockTiles)
            for (int pair = 0; pair < panel.pairs; pair++)
                multiply_block(panel, pair, task, token, count, begin,
                               all - begin < kBlockTiles ? all - begin : kBlockTiles);
        for (int pair = 0; pair < panel.pairs; pair++) {
            copy_out(task, token, count, panel.rows[pair], panel.sums[pair], 2 * kStripRows);
            if (panel.strips[pair].second != nullptr)
                copy_out(task, token, count, panel.rows[pair] + kStripRows,
                         panel.sums[pair] + kStripRows, 2 * kStripRows);
        }
    }
}

// Number of tokens from `token` on, at most kPanelTokens, whose rows follow one another.
int run_of(const RowsTask &task, int64_t token) {
    int64_t count = 1;
    while (token + count < task.count && count < kPanelTokens &&
           source_row(task, token + count) == source_row(task, token) + count)
        count++;
    return int(count);
}

} // namespace

void strips_f8_amx(const RowsTask &task) {
    for (int64_t token = 0; token < task.count;) {
        const int run = run_of(task, token), whole = run / kBlockTokens * kBlockTokens,
                  rest = run - whole;
        if (whole > 0) {
            configure_tiles(kOperands, kBlockTokens);
            if (whole == kBlockTokens)
                few_tokens(task, token, whole);
            else
                many_tokens(task, token, whole);
        }
        if (rest > 0) {
            configure_tiles(kOperands, rest);
            few_tokens(task, token + whole, rest);
        }
        token += run;
    }
    release_tiles();
}

} // namespace ds4::cpu
