// Strips of Q8_0 times int8 activations with AVX-512 VNNI.
//
// A sum becomes a float through its bits: it starts at kFloatBias, so that its bits are those of
// C + sum with C = 1.5 * 2^23. One fused operation takes C * scale off the product with the weight
// scale, which is exact, and rounds once. The bits are those of float(sum) * scale.
#include "backend/cpu/kernels/intrinsics.h"
#include "backend/cpu/kernels/strips.h"

namespace ds4::cpu {
namespace {

constexpr int kMostTokens = 6; // of one micro-kernel: with two strips its sums fill the registers
constexpr int kStripPair = 2;
// Products of many tokens take this many tiles of a pair of strips at a time, which stay in the
// first-level cache for all tokens.
constexpr int64_t kBlockTiles = 8;
constexpr int64_t kPanelTokens = 96; // whose sums of a pair of strips lie on the stack
constexpr int64_t kPrefetchBytes = 8 * kQ8TileBytes;

inline __m512i four_everywhere(const int8_t *values) {
    int32_t word;
    __builtin_memcpy(&word, values, 4);
    return _mm512_set1_epi32(word);
}

// Adds the products of one group of 32 inputs. half: which one of its tile.
template <int T, int B>
[[gnu::always_inline]] inline void add_group(const uint8_t *const (&tiles)[B], int half,
                                             const ActivationGroup *const (&x)[T], int block,
                                             __m512 (&sums)[T][B]) {
    __m512i dots[T][B];
#pragma GCC unroll 8
    for (int t = 0; t < T; t++)
#pragma GCC unroll 4
        for (int b = 0; b < B; b++) dots[t][b] = _mm512_set1_epi32(x[t]->starts[block]);
#pragma GCC unroll 8
    for (int v = 0; v < 8; v++) {
        __m512i weights[B];
#pragma GCC unroll 4
        for (int b = 0; b < B; b++) weights[b] = _mm512_load_si512(tiles[b] + half * 512 + v * 64);
        const int place = 16 * block + 4 * v + (v < 4 ? 0 : 48); // second halves lie 64 bytes on
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) {
            const __m512i values = four_everywhere(x[t]->quants + place);
#pragma GCC unroll 4
            for (int b = 0; b < B; b++)
                dots[t][b] = _mm512_dpbusd_epi32(dots[t][b], weights[b], values);
        }
    }
#pragma GCC unroll 4
    for (int b = 0; b < B; b++) {
        const __m512 scale = _mm512_cvtph_ps(_mm256_load_si256(
            reinterpret_cast<const __m256i *>(tiles[b] + kQ8CodeBytes + half * 32)));
        const __m512 bias = _mm512_mul_ps(scale, _mm512_set1_ps(0x1.8p23f));
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) {
            const __m512 product = _mm512_fmsub_ps(_mm512_castsi512_ps(dots[t][b]), scale, bias);
            sums[t][b] = _mm512_fmadd_ps(product, _mm512_set1_ps(x[t]->scales[block]), sums[t][b]);
        }
    }
}

// A place in a product: tiles [begin, end) of B strips.
struct Tiles {
    const uint8_t *first; // of the first strip, tile 0
    int64_t strip_bytes, begin, end;
};

// Tile i of the strips is half a group of 128 inputs.
template <int T, int B, bool kPrefetches>
[[gnu::always_inline]] inline void
add_tiles(const Tiles &place, const ActivationGroup *const (&tokens)[T], __m512 (&sums)[T][B]) {
    for (int64_t i = place.begin; i < place.end; i++) {
        const uint8_t *tiles[B];
        const ActivationGroup *x[T];
#pragma GCC unroll 4
        for (int b = 0; b < B; b++)
            tiles[b] = place.first + b * place.strip_bytes + i * kQ8TileBytes;
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) x[t] = tokens[t] + i / 2;
        if constexpr (kPrefetches)
#pragma GCC unroll 4
            for (int b = 0; b < B; b++)
#pragma GCC unroll 17
                for (int line = 0; line < 17; line++)
                    _mm_prefetch(reinterpret_cast<const char *>(tiles[b]) + kPrefetchBytes +
                                     line * 64,
                                 _MM_HINT_T1);
        const int first = int(i % 2) * 2;
        add_group<T, B>(tiles, 0, x, first, sums);
        add_group<T, B>(tiles, 1, x, first + 1, sums);
    }
}

inline void store_rows(const RowsTask &task, int64_t token, int64_t row, __m512 sum) {
    const int64_t left = task.row_end - row;
    const __mmask16 rows = left >= kStripRows ? __mmask16(0xffff) : __mmask16((1u << left) - 1);
    _mm512_mask_storeu_ps(task.y + token * task.y_stride + row, rows, sum);
}

// All inputs of B strips from `row` on for T tokens from `token` on.
template <int T, int B> void whole_strips(const RowsTask &task, int64_t row, int64_t token) {
    const int64_t tiles = strip_tiles(task.weight.cols);
    const ActivationGroup *x[T];
    __m512 sums[T][B];
#pragma GCC unroll 8
    for (int t = 0; t < T; t++) {
        x[t] = token_groups(task, token + t);
#pragma GCC unroll 4
        for (int b = 0; b < B; b++) sums[t][b] = _mm512_setzero_ps();
    }
    const int64_t bytes = tiles * kQ8TileBytes;
    add_tiles<T, B, true>({task.weight.strips + row / kStripRows * bytes, bytes, 0, tiles}, x,
                          sums);
#pragma GCC unroll 8
    for (int t = 0; t < T; t++)
#pragma GCC unroll 4
        for (int b = 0; b < B; b++) store_rows(task, token + t, row + b * kStripRows, sums[t][b]);
}

template <int B> void few_tokens(const RowsTask &task, int64_t row) {
    switch (task.count) {
    case 1: return whole_strips<1, B>(task, row, 0);
    case 2: return whole_strips<2, B>(task, row, 0);
    case 3: return whole_strips<3, B>(task, row, 0);
    case 4: return whole_strips<4, B>(task, row, 0);
    case 5: return whole_strips<5, B>(task, row, 0);
    default: return whole_strips<6, B>(task, row, 0);
    }
}

// The sums of a pair of strips for the tokens of a panel.
struct Panel {
    alignas(64) float sums[kPanelTokens][kStripPair * kStripRows];
    const ActivationGroup *tokens[kPanelTokens];
};

template <int T, int B> void panel_block(Panel &panel, int token, const Tiles &place) {
    const ActivationGroup *x[T];
    __m512 sums[T][B];
#pragma GCC unroll 8
    for (int t = 0; t < T; t++) {
        x[t] = panel.tokens[token + t];
#pragma GCC unroll 4
        for (int b = 0; b < B; b++)
            sums[t][b] = place.begin == 0 ? _mm512_setzero_ps()
                                          : _mm512_load_ps(panel.sums[token + t] + b * 16);
    }
    add_tiles<T, B, false>(place, x, sums);
#pragma GCC unroll 8
    for (int t = 0; t < T; t++)
#pragma GCC unroll 4
        for (int b = 0; b < B; b++) _mm512_store_ps(panel.sums[token + t] + b * 16, sums[t][b]);
}

template <int B> void panel_tokens(Panel &panel, int count, const Tiles &place) {
    const int calls = (count + kMostTokens - 1) / kMostTokens;
    for (int i = 0, token = 0; i < calls; i++) {
        const int taken = (count - token + calls - i - 1) / (calls - i);
        switch (taken) {
        case 1: panel_block<1, B>(panel, token, place); break;
        case 2: panel_block<2, B>(panel, token, place); break;
        case 3: panel_block<3, B>(panel, token, place); break;
        case 4: panel_block<4, B>(panel, token, place); break;
        case 5: panel_block<5, B>(panel, token, place); break;
        default: panel_block<6, B>(panel, token, place);
        }
        token += taken;
    }
}

template <int B>
void panel_strips(Panel &panel, const RowsTask &task, int64_t row, int64_t token, int count) {
    const int64_t tiles = strip_tiles(task.weight.cols), bytes = tiles * kQ8TileBytes;
    const uint8_t *first = task.weight.strips + row / kStripRows * bytes;
    for (int64_t begin = 0; begin < tiles; begin += kBlockTiles) {
        const int64_t end = begin + kBlockTiles < tiles ? begin + kBlockTiles : tiles;
        panel_tokens<B>(panel, count, {first, bytes, begin, end});
    }
    for (int t = 0; t < count; t++)
        for (int b = 0; b < B; b++)
            store_rows(task, token + t, row + b * kStripRows,
                       _mm512_load_ps(panel.sums[t] + b * 16));
}

} // namespace

void strips_q8_0_avx512(const RowsTask &task) {
    const int64_t pair = kStripPair * kStripRows;
    if (task.count <= kMostTokens) {
        int64_t row = task.row_begin;
        for (; row + kStripRows < task.row_end; row += pair) few_tokens<kStripPair>(task, row);
        if (row < task.row_end) few_tokens<1>(task, row);
        return;
    }
    Panel panel;
    for (int64_t token = 0; token < task.count; token += kPanelTokens) {
        const int count =
            int(task.count - token < kPanelTokens ? task.count - token : kPanelTokens);
        for (int t = 0; t < count; t++) panel.tokens[t] = token_groups(task, token + t);
        int64_t row = task.row_begin;
        for (; row + kStripRows < task.row_end; row += pair)
            panel_strips<kStripPair>(panel, task, row, token, count);
        if (row < task.row_end) panel_strips<1>(panel, task, row, token, count);
    }
}

} // namespace ds4::cpu
