// bf16 activations with AVX-512 BF16. A 16-bit word of a code vector holds four nibbles; shifted by 0, 4, 8, 12 it
// indexes a word permute (table repeated, upper bits ignored) and gives the pairs (0,4), (1,5), (2,6), (3,7) of
// its eight inputs as bf16, which is exact. A group of a row is one chain of dot instructions from zero, which is then
// scaled and added: few tokens, many tokens and the down products give the same bits.
#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/stages.h"

namespace ds4::ktb {
namespace {

constexpr int kRowBlocks = 4;
constexpr int kLines = int(kTileBytes / 64);
constexpr int kSweepTokens = 4; // x 4 row blocks: as many chains as hide the latency of a dot instruction
constexpr int kBlockGroups = 4; // decoded weights kept for all tokens: 17 KB, which stay in L1
constexpr size_t kCodeBytes = 4096;                      // of one decoded group
constexpr size_t kKeptBytes = kCodeBytes + kTileRows * 4; // and its scales as f32
static_assert(kBlockGroups * kKeptBytes <= kPanelScratchBytes);

inline void prefetch_ahead(const uint8_t *line) { _mm_prefetch(reinterpret_cast<const char *>(line), _MM_HINT_T0); }
inline __m512i code_table() {
    const __m256i words = _mm256_setr_epi16(0, 0x3f00, 0x3f80, 0x3fc0, 0x4000, 0x4040, 0x4080, 0x40c0, short(0x8000), short(0xbf00),
                                            short(0xbf80), short(0xbfc0), short(0xc000), short(0xc040), short(0xc080), short(0xc0c0));
    return _mm512_broadcast_i64x4(words);
}
inline __m512bh as_bf16(__m512i words) { return (__m512bh)words; }
// A compiler that folds the load into every use makes it as many loads.
[[gnu::always_inline]] inline void keep_in_register(__m512i &value) { __asm__("" : "+v"(value)); }
inline __m512bh broadcast_pair(const uint8_t *group, int i) {
    int32_t dword;
    __builtin_memcpy(&dword, group + size_t(i) * 4, 4);
    return as_bf16(_mm512_set1_epi32(dword));
}
inline __m512 block_scales(const uint8_t *tile, int block) {
    const __m128i bytes = _mm_load_si128(reinterpret_cast<const __m128i *>(tile + kTileCodeBytes + size_t(block) * 16));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu8_epi32(bytes), 23));
}

void prepare(const float *x, int groups, uint8_t *out) {
    alignas(64) static constexpr int16_t kOrder[32] = {0,  4,  1,  5,  2,  6,  3,  7,  8,  12, 9,  13, 10, 14, 11, 15,
                                                       16, 20, 17, 21, 18, 22, 19, 23, 24, 28, 25, 29, 26, 30, 27, 31};
    const __m512i order = _mm512_load_si512(kOrder);
    for (int g = 0; g < groups; g++, x += kGroup) {
        const __m512i words = (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + 16), _mm512_loadu_ps(x));
        _mm512_storeu_si512(out + size_t(g) * sizeof(Bf16Group), _mm512_permutexvar_epi16(order, words));
    }
}

enum class Weights { decoded, decoded_and_kept, kept };

// sums[t] += scales of the rows * dots of a tile's rows with one group of T tokens; kStarts: sums begin at zero. The
// T x 4 chains advance together: one after the other they would wait for the latency of the dot instruction.
// kept: [dword i of a prepared group][block] vectors of bf16 pairs, then the scales [block].
template <int T, Weights kWeights, bool kStarts>
[[gnu::always_inline]] inline void add_dots(const uint8_t *tile, uint8_t *kept, const uint8_t *const (&groups)[T], float *const (&sums)[T]) {
    const __m512i table = code_table();
    uint8_t *const kept_scales = kept + kCodeBytes;
    __m512 dots[T][kRowBlocks];
#pragma GCC unroll 4
    for (int t = 0; t < T; t++)
#pragma GCC unroll 4
        for (int b = 0; b < kRowBlocks; b++) dots[t][b] = _mm512_setzero_ps();
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++, kept += kRowBlocks * 64) {
        __m512i weights[kRowBlocks];
#pragma GCC unroll 4
        for (int b = 0; b < kRowBlocks; b++) {
            if constexpr (kWeights == Weights::kept) {
                weights[b] = _mm512_load_si512(kept + b * 64);
                keep_in_register(weights[b]);
            } else {
                const __m512i codes = _mm512_load_si512(tile + (b * 4 + i / 4) * 64);
                weights[b] = _mm512_permutexvar_epi16(i % 4 == 0 ? codes : _mm512_srli_epi16(codes, unsigned(i % 4) * 4), table);
            }
            if constexpr (kWeights == Weights::decoded_and_kept) _mm512_store_si512(kept + b * 64, weights[b]);
        }
#pragma GCC unroll 4
        for (int t = 0; t < T; t++) {
            const __m512bh values = broadcast_pair(groups[t], i);
#pragma GCC unroll 4
            for (int b = 0; b < kRowBlocks; b++) dots[t][b] = _mm512_dpbf16_ps(dots[t][b], as_bf16(weights[b]), values);
        }
    }
#pragma GCC unroll 4
    for (int b = 0; b < kRowBlocks; b++) {
        const __m512 scales = kWeights == Weights::kept ? _mm512_load_ps(kept_scales + b * 64) : block_scales(tile, b);
        if constexpr (kWeights == Weights::decoded_and_kept) _mm512_store_ps(kept_scales + b * 64, scales);
#pragma GCC unroll 4
        for (int t = 0; t < T; t++) {
            // not a masked load: it would wait until the store before it has reached the cache
            const __m512 sum = kStarts ? _mm512_setzero_ps() : _mm512_loadu_ps(sums[t] + b * 16);
            _mm512_storeu_ps(sums[t] + b * 16, _mm512_fmadd_ps(dots[t][b], scales, sum));
        }
    }
}

// Lines [begin, end) of a tile, of those that a sweep asks for ahead of their use.
struct Lines {
    int begin, end;
};

// Asks for groups [begin, end) of the tokens of the next sweep, which the shared cache takes long to give.
inline void prefetch_values(const PanelArgs &args, int first, int begin, int end) {
    for (int t = first; t < first + kSweepTokens && t < args.tokens; t++)
        for (int g = begin; g < end; g++) prefetch_ahead(args.rows[t] + size_t(g) * sizeof(Bf16Group));
}

// Adds groups [begin, end) of T tokens to their sums.
template <int T, Weights kWeights> inline void sweep_tokens(const PanelArgs &args, int first_token, int begin, int end, const Lines &ahead) {
    float *sums[T];
#pragma GCC unroll 4
    for (int t = 0; t < T; t++) sums[t] = args.sums + size_t(first_token + t) * kTileRows;
    const uint8_t *tile = args.tiles + size_t(begin) * args.tile_stride;
    uint8_t *kept = args.scratch;
    for (int g = begin; g < end; g++, tile += args.tile_stride, kept += kKeptBytes) {
        const uint8_t *groups[T];
#pragma GCC unroll 4
        for (int t = 0; t < T; t++) groups[t] = args.rows[first_token + t] + size_t(g) * sizeof(Bf16Group);
        for (int line = ahead.begin; line < ahead.end; line++) prefetch_ahead(tile + args.ahead + line * 64);
        add_dots<T, kWeights, false>(tile, kept, groups, sums);
    }
}

// Tokens from `first` on, at most kSweepTokens of them.
template <Weights kWeights> inline void sweep(const PanelArgs &args, int first, int begin, int end, const Lines &ahead) {
    switch (args.tokens - first) {
    case 1: return sweep_tokens<1, kWeights>(args, first, begin, end, ahead);
    case 2: return sweep_tokens<2, kWeights>(args, first, begin, end, ahead);
    case 3: return sweep_tokens<3, kWeights>(args, first, begin, end, ahead);
    default: return sweep_tokens<kSweepTokens, kWeights>(args, first, begin, end, ahead);
    }
}

void panel(const PanelArgs &args) {
    for (int i = 0; i < args.tokens * kTileRows; i += 16) _mm512_storeu_ps(args.sums + i, _mm512_setzero_ps());
    if (args.tokens <= kSweepTokens) return sweep<Weights::decoded>(args, 0, 0, args.groups, {0, kLines});
    const int sweeps = (args.tokens + kSweepTokens - 1) / kSweepTokens;
    for (int begin = 0; begin < args.groups; begin += kBlockGroups) {
        const int end = begin + kBlockGroups < args.groups ? begin + kBlockGroups : args.groups;
        for (int i = 0; i < sweeps; i++) { // weights of the next blocks are asked for evenly in all sweeps
            const Lines ahead{kLines * i / sweeps, kLines * (i + 1) / sweeps};
            prefetch_values(args, (i + 1) * kSweepTokens, begin, end);
            if (i == 0) sweep_tokens<kSweepTokens, Weights::decoded_and_kept>(args, 0, begin, end, ahead);
            else sweep<Weights::kept>(args, i * kSweepTokens, begin, end, ahead);
        }
    }
}

template <int T, bool kStarts> inline void down_tokens(const DownArgs &args, int first_token) {
    const uint8_t *groups[T];
    float *outputs[T];
#pragma GCC unroll 4
    for (int t = 0; t < T; t++) groups[t] = args.groups[first_token + t], outputs[t] = args.outputs[first_token + t];
    const uint8_t *tile = args.tiles;
    for (int i = 0; i < args.row_tiles; i++, tile += kTileBytes) {
#pragma GCC unroll 17
        for (int line = 0; line < kLines; line++) prefetch_ahead(tile + kPrefetchTiles * kTileBytes + line * 64);
        add_dots<T, Weights::decoded, kStarts>(tile, nullptr, groups, outputs);
        for (int t = 0; t < T; t++) outputs[t] += kTileRows;
    }
}

template <bool kStarts> inline void down_from(const DownArgs &args) {
    for (int t = 0; t < args.tokens; t += kSweepTokens) switch (args.tokens - t) {
        case 1: down_tokens<1, kStarts>(args, t); break;
        case 2: down_tokens<2, kStarts>(args, t); break;
        case 3: down_tokens<3, kStarts>(args, t); break;
        default: down_tokens<kSweepTokens, kStarts>(args, t);
        }
}
void down(const DownArgs &args) { args.first ? down_from<true>(args) : down_from<false>(args); }

} // namespace

const Kernels kAvx512Bf16 = {"avx512", "bf16", sizeof(Bf16Group), prepare, panel, panel, down, swiglu_avx512, add_scaled_avx512, add_avx512};

} // namespace ds4::ktb
