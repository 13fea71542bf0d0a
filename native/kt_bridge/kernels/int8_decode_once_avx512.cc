// int8 activations with AVX-512 VNNI, for processors whose byte permutes take a port of the dot
// instructions. With few tokens every micro-kernel decodes weights. With many tokens weights are
// decoded once for all of them. Activations then have the offset, q + 128. The starts of the sums
// depend on the weights alone, and are stored with them, C (int8_avx512.h) already added. Both
// forms give the same bits for exact tiles. A block with a tile that is not exact takes the first
// form.
//
// Work of the two ports of 512-bit arithmetic for a group: four tokens take 128 dots and 32
// operations of scaling. The first four take 16 more for the starts. Decoding takes 100: 32
// permutes, 16 shifts, 32 offsets, and 20 for starts and C. So dots are 256 of 436 operations at 8
// tokens, 512 of 756 at 16, and 1024 of 1396 at 32.
#include "kernels/int8_avx512.h"
#include "kernels/stages.h"

namespace ds4::ktb {
namespace {

// Tokens up to which every micro-kernel decodes: one micro-kernel. 16 threads on a Xeon are faster
// with decoded weights at 8 tokens already.
constexpr int kMostDecodingTokens = 4;
// With 4 row blocks these are as many chains as hide the latency of a dot instruction.
constexpr int kDecodedTokens = 4;
// A decoded group: [low, high of vector v][block] signed weights, then [block] starts of the sums,
// then [block] C. A block of them is 20 KB, which stay in L1.
constexpr size_t kDecodedBytes = 2 * kTileCodeBytes + 2 * kTileRows * 4;
static_assert(kBlockGroups * kDecodedBytes <= kPanelScratchBytes);

inline __m512i signed_table() {
    return _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12));
}
// Without this the compiler folds the load into every use and loads as many times.
[[gnu::always_inline]] inline void keep_in_register(__m512i &value) { __asm__("" : "+v"(value)); }

// Adds the products of a tile, which must be exact, with one group of T tokens to sums[t].
// kDecodes: decodes the tile and stores the weights for later tokens; else it reads those. The T x
// 4 chains advance together.
template <int T, bool kDecodes>
[[gnu::always_inline]] inline void add_with_offset_values(const uint8_t *tile, uint8_t *decoded,
                                                          const uint8_t *const (&groups)[T],
                                                          float *const (&sums)[T]) {
    const __m512i table = signed_table(), offset = _mm512_set1_epi8(char(0x80)); // 128
    uint8_t *const starts = decoded + 2 * kTileCodeBytes, *const minuends = starts + kTileRows * 4;
    __m512i dots[T][kRowBlocks];
    __m512i offsets[kRowBlocks];
#pragma GCC unroll 4
    for (int b = 0; b < kRowBlocks; b++) {
        if constexpr (kDecodes) offsets[b] = _mm512_setzero_si512();
#pragma GCC unroll 4
        for (int t = 0; t < T; t++)
            dots[t][b] = kDecodes ? _mm512_setzero_si512() : _mm512_load_si512(starts + b * 64);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++, decoded += kRowBlocks * 64) {
        __m512i weights[kRowBlocks];
#pragma GCC unroll 4
        for (int b = 0; b < kRowBlocks; b++) {
            if constexpr (kDecodes) {
                const __m512i codes = _mm512_load_si512(tile + (b * 4 + i / 2) * 64);
                weights[b] = _mm512_permutexvar_epi8(
                    i % 2 == 0 ? codes : _mm512_srli_epi16(codes, 4), table);
                offsets[b] = _mm512_dpbusd_epi32(offsets[b], offset, weights[b]);
                _mm512_store_si512(decoded + b * 64, weights[b]);
            } else {
                weights[b] = _mm512_load_si512(decoded + b * 64);
                keep_in_register(weights[b]);
            }
        }
#pragma GCC unroll 4
        for (int t = 0; t < T; t++) {
            const __m512i values = broadcast_dword(group_at(groups[t]).values + i * 4);
#pragma GCC unroll 4
            for (int b = 0; b < kRowBlocks; b++)
                dots[t][b] = _mm512_dpbusd_epi32(dots[t][b], values, weights[b]);
        }
    }
#pragma GCC unroll 4
    for (int b = 0; b < kRowBlocks; b++) {
        __m512i minuend, start;
        if constexpr (kDecodes) {
            minuend = block_minuends(tile, b);
            start = _mm512_sub_epi32(minuend, offsets[b]);
            _mm512_store_si512(starts + b * 64, start);
            _mm512_store_si512(minuends + b * 64, minuend);
        } else {
            minuend = _mm512_load_si512(minuends + b * 64);
        }
#pragma GCC unroll 4
        for (int t = 0; t < T; t++) {
            const __m512i bits = kDecodes ? _mm512_add_epi32(dots[t][b], start) : dots[t][b];
            _mm512_storeu_ps(sums[t] + b * 16, scaled_sum(bits, minuend, group_at(groups[t]).scale,
                                                          _mm512_loadu_ps(sums[t] + b * 16)));
        }
    }
}

// Adds groups [begin, end) of T tokens to their sums.
template <int T, bool kDecodes>
void decoded_micro_kernel(const PanelArgs &args, int first, int begin, int end,
                          const Lines &prefetch) {
    float *sums[T];
#pragma GCC unroll 4
    for (int t = 0; t < T; t++) sums[t] = args.sums + size_t(first + t) * kTileRows;
    const uint8_t *tile = args.tiles + size_t(begin) * args.tile_stride;
    uint8_t *decoded = args.scratch;
    for (int g = begin; g < end; g++, tile += args.tile_stride, decoded += kDecodedBytes) {
        const uint8_t *groups[T];
#pragma GCC unroll 4
        for (int t = 0; t < T; t++)
            groups[t] = args.rows[first + t] + size_t(g) * sizeof(Int8Group);
        for (int line = prefetch.begin; line < prefetch.end; line++)
            prefetch_weights(args.prefetch_tile(tile, g) + line * 64);
        add_with_offset_values<T, kDecodes>(tile, decoded, groups, sums);
    }
}

using MicroKernels = PanelMicroKernels<Int8Arithmetic<true>>;

// Groups [begin, end) of all tokens.
void run_decoded_block(const PanelArgs &args, int begin, int end) {
    const int calls = (args.tokens + kDecodedTokens - 1) / kDecodedTokens;
    for (int i = 0; i < calls; i++) { // each micro-kernel prefetches its share of later weights
        const Lines prefetch{kTileLines * i / calls, kTileLines * (i + 1) / calls};
        const int first = i * kDecodedTokens;
        MicroKernels::prefetch_next(args, first + kDecodedTokens, begin, end);
        if (i == 0)
            decoded_micro_kernel<kDecodedTokens, true>(args, first, begin, end, prefetch);
        else
            switch (args.tokens - first) {
            case 1: decoded_micro_kernel<1, false>(args, first, begin, end, prefetch); break;
            case 2: decoded_micro_kernel<2, false>(args, first, begin, end, prefetch); break;
            case 3: decoded_micro_kernel<3, false>(args, first, begin, end, prefetch); break;
            default: decoded_micro_kernel<kDecodedTokens, false>(args, first, begin, end, prefetch);
            }
    }
}

void panel(const PanelArgs &args) {
    if (args.tokens <= kMostDecodingTokens) return MicroKernels::panel(args);
    for (int i = 0; i < args.tokens * kTileRows; i += 16)
        _mm512_storeu_ps(args.sums + i, _mm512_setzero_ps());
    for (int begin = 0; begin < args.groups; begin += kBlockGroups) {
        const int end = block_end(args, begin);
        if (MicroKernels::are_exact(args, begin, end))
            run_decoded_block(args, begin, end);
        else
            MicroKernels::run_block(args, MicroKernels::TokenBlocks(args.tokens), begin, end);
    }
}

} // namespace

const Kernels kAvx512Int8 = {
    "avx512",           "int8",        sizeof(Int8Group), prepare<true>, panel, panel,
    MicroKernels::down, swiglu_avx512, add_scaled_avx512, add_avx512};

} // namespace ds4::ktb
