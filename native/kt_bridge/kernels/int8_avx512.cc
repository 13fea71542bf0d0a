// int8 activations with AVX-512 VNNI. A dot instruction adds four products of bytes, one of them unsigned, the other
// signed, and both operands have signs: one gets an offset, and the sum starts at minus what the offset adds.
//
// Few tokens: weights get it, 2 * E2M1 + 12 (0..24), and the sum starts at -12 * sum of the activations. It is converted,
// scaled by the row's power of two and by the group's scale: three instructions for every eight dots.
// Many tokens: activations have it, q + 128, so that the start depends on the weights alone, and it is chosen such that
// the sum already is a float: as an integer added to the bits of C = 1.5 * 2^(23 + exponent of the scale) it is the
// float C + sum * scale. Minus C, times the group's scale: two instructions. Both forms give the same bits, because all
// but the last addition is exact.
#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/stages.h"

namespace ds4::ktb {
namespace {

constexpr int kRowBlocks = 4;
constexpr int kLines = int(kTileBytes / 64);
constexpr int kSweepTokens = 4;  // x 4 row blocks: as many chains as hide the latency of a dot instruction
constexpr int kBlockGroups = 8;  // decoded weights kept for all tokens: 20 KB, which stay in L1
constexpr size_t kKeptBytes = 2 * kTileCodeBytes + 2 * kTileRows * 4; // of one group: codes, starts, minuends
static_assert(kBlockGroups * kKeptBytes <= kPanelScratchBytes);

struct OffsetGroup {     // an Int8Group but for the offset
    uint8_t values[32];  // q + 128
    float scale;
    int32_t correction;
};
static_assert(sizeof(OffsetGroup) == sizeof(Int8Group));

inline void prefetch_ahead(const uint8_t *line) { _mm_prefetch(reinterpret_cast<const char *>(line), _MM_HINT_T0); }
// A byte permute's table is repeated four times, so that the upper index bits need no mask.
inline __m512i offset_table() {
    return _mm512_broadcast_i32x4(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
}
inline __m512i signed_table() {
    return _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12));
}
// A compiler that folds the load into every use makes it as many loads.
[[gnu::always_inline]] inline void keep_in_register(__m512i &value) { __asm__("" : "+v"(value)); }
inline __m512i broadcast_dword(const uint8_t *values) {
    int32_t dword;
    __builtin_memcpy(&dword, values, 4);
    return _mm512_set1_epi32(dword);
}
inline __m512i block_exponents(const uint8_t *tile, int block) {
    return _mm512_cvtepu8_epi32(_mm_load_si128(reinterpret_cast<const __m128i *>(tile + kTileCodeBytes + size_t(block) * 16)));
}
inline __m512 block_scales(const uint8_t *tile, int block) { return _mm512_castsi512_ps(_mm512_slli_epi32(block_exponents(tile, block), 23)); }
inline const OffsetGroup &group_at(const uint8_t *row, int g) { return reinterpret_cast<const OffsetGroup *>(row)[g]; }

// Whether every scale of a tile times any sum is a normal float, and so is C: scales 1 to 230.
inline bool is_exact(const uint8_t *tile) {
    const __m512i less = _mm512_sub_epi8(_mm512_load_si512(tile + kTileCodeBytes), _mm512_set1_epi8(1));
    return _mm512_cmpgt_epu8_mask(less, _mm512_set1_epi8(char(229))) == 0;
}

void prepare(const float *x, int groups, uint8_t *out) {
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    const __m128i order = _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15);
    const __m128i offset = _mm_set1_epi8(char(0x80)); // adds 128
    for (int g = 0; g < groups; g++, x += kGroup) {
        OffsetGroup &group = reinterpret_cast<OffsetGroup *>(out)[g];
        const __m512 a = _mm512_loadu_ps(x), b = _mm512_loadu_ps(x + 16);
        const uint32_t largest = _mm512_reduce_max_epu32(_mm512_max_epu32(_mm512_and_epi32(_mm512_castps_si512(a), magnitude),
                                                                          _mm512_and_epi32(_mm512_castps_si512(b), magnitude)));
        const float amax = __builtin_bit_cast(float, largest);
        const bool finite = largest < 0x7f800000u, usable = finite && amax > 4e-37f; // 127 / amax stays finite
        const __m512 inverse = _mm512_set1_ps(usable ? 127.0f / amax : 0.0f);
        __m512i qa = _mm512_cvtps_epi32(_mm512_mul_ps(a, inverse)), qb = _mm512_cvtps_epi32(_mm512_mul_ps(b, inverse));
        if (!usable) qa = qb = _mm512_setzero_si512();
        _mm_storeu_si128(reinterpret_cast<__m128i *>(group.values), _mm_xor_si128(_mm_shuffle_epi8(_mm512_cvtepi32_epi8(qa), order), offset));
        _mm_storeu_si128(reinterpret_cast<__m128i *>(group.values + 16), _mm_xor_si128(_mm_shuffle_epi8(_mm512_cvtepi32_epi8(qb), order), offset));
        group.scale = finite ? (usable ? amax / 127.0f * 0.5f : 0.0f) : __builtin_nanf("");
        group.correction = -12 * _mm512_reduce_add_epi32(_mm512_add_epi32(qa, qb));
    }
}

// The chains of T tokens x 4 row blocks advance together: one after the other they would wait for the latency of the
// dot instruction.
template <int T> using Dots = __m512i[T][kRowBlocks];

// Few tokens: integer sums of a tile's rows with one group.
template <int T> [[gnu::always_inline]] inline void offset_weight_dots(const uint8_t *tile, const OffsetGroup *const (&groups)[T], Dots<T> &dots) {
    const __m512i table = offset_table(), offset = _mm512_set1_epi8(char(0x80));
#pragma GCC unroll 4
    for (int t = 0; t < T; t++)
#pragma GCC unroll 4
        for (int b = 0; b < kRowBlocks; b++) dots[t][b] = _mm512_set1_epi32(groups[t]->correction);
#pragma GCC unroll 4
    for (int v = 0; v < 4; v++) {
        __m512i low_values[T], high_values[T];
#pragma GCC unroll 4
        for (int t = 0; t < T; t++) {
            low_values[t] = _mm512_xor_si512(broadcast_dword(groups[t]->values + v * 8), offset);
            high_values[t] = _mm512_xor_si512(broadcast_dword(groups[t]->values + v * 8 + 4), offset);
        }
#pragma GCC unroll 4
        for (int b = 0; b < kRowBlocks; b++) {
            const __m512i codes = _mm512_load_si512(tile + (b * 4 + v) * 64);
            const __m512i low = _mm512_permutexvar_epi8(codes, table);
            const __m512i high = _mm512_permutexvar_epi8(_mm512_srli_epi16(codes, 4), table);
#pragma GCC unroll 4
            for (int t = 0; t < T; t++) dots[t][b] = _mm512_dpbusd_epi32(dots[t][b], low, low_values[t]);
#pragma GCC unroll 4
            for (int t = 0; t < T; t++) dots[t][b] = _mm512_dpbusd_epi32(dots[t][b], high, high_values[t]);
        }
    }
}

// sums[t] += sum * scales of the rows * scale of the group; kStarts: sums begin at zero.
template <int T, bool kStarts>
[[gnu::always_inline]] inline void add_with_offset_weights(const uint8_t *tile, const OffsetGroup *const (&groups)[T], float *const (&sums)[T]) {
    Dots<T> dots;
    offset_weight_dots<T>(tile, groups, dots);
    const bool exact = is_exact(tile);
#pragma GCC unroll 4
    for (int b = 0; b < kRowBlocks; b++) {
        const __m512 scales = block_scales(tile, b);
#pragma GCC unroll 4
        for (int t = 0; t < T; t++) {
            const __m512 dot = _mm512_cvtepi32_ps(dots[t][b]), group_scale = _mm512_set1_ps(groups[t]->scale);
            // not a masked load: it would wait until the store before it has reached the cache
            const __m512 sum = kStarts ? _mm512_setzero_ps() : _mm512_loadu_ps(sums[t] + b * 16);
            const __m512 added = __builtin_expect(exact, true) ? _mm512_fmadd_ps(_mm512_mul_ps(dot, scales), group_scale, sum)
                                                                : _mm512_fmadd_ps(dot, _mm512_mul_ps(scales, group_scale), sum);
            _mm512_storeu_ps(sums[t] + b * 16, added);
        }
    }
}

// A decoded group: [low, high of vector v][block] signed weights, then [block] starts of the sums, then [block] C.
// Many tokens: the same as above for exact tiles. kDecodes: of a tile, and keeps it for the tokens that follow.
template <int T, bool kDecodes>
[[gnu::always_inline]] inline void add_with_offset_values(const uint8_t *tile, uint8_t *kept, const OffsetGroup *const (&groups)[T], float *const (&sums)[T]) {
    const __m512i table = signed_table(), offset = _mm512_set1_epi8(char(0x80));
    uint8_t *const starts = kept + 2 * kTileCodeBytes, *const minuends = starts + kTileRows * 4;
    Dots<T> dots;
    __m512i offsets[kRowBlocks];
#pragma GCC unroll 4
    for (int b = 0; b < kRowBlocks; b++) {
        if constexpr (kDecodes) offsets[b] = _mm512_setzero_si512();
#pragma GCC unroll 4
        for (int t = 0; t < T; t++) dots[t][b] = kDecodes ? _mm512_setzero_si512() : _mm512_load_si512(starts + b * 64);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++, kept += kRowBlocks * 64) {
        __m512i weights[kRowBlocks];
#pragma GCC unroll 4
        for (int b = 0; b < kRowBlocks; b++) {
            if constexpr (kDecodes) {
                const __m512i codes = _mm512_load_si512(tile + (b * 4 + i / 2) * 64);
                weights[b] = _mm512_permutexvar_epi8(i % 2 == 0 ? codes : _mm512_srli_epi16(codes, 4), table);
                offsets[b] = _mm512_dpbusd_epi32(offsets[b], offset, weights[b]);
                _mm512_store_si512(kept + b * 64, weights[b]);
            } else {
                weights[b] = _mm512_load_si512(kept + b * 64);
                keep_in_register(weights[b]);
            }
        }
#pragma GCC unroll 4
        for (int t = 0; t < T; t++) {
            const __m512i values = broadcast_dword(groups[t]->values + i * 4);
#pragma GCC unroll 4
            for (int b = 0; b < kRowBlocks; b++) dots[t][b] = _mm512_dpbusd_epi32(dots[t][b], values, weights[b]);
        }
    }
#pragma GCC unroll 4
    for (int b = 0; b < kRowBlocks; b++) {
        __m512i minuend, start;
        if constexpr (kDecodes) {
            minuend = _mm512_or_si512(_mm512_slli_epi32(_mm512_add_epi32(block_exponents(tile, b), _mm512_set1_epi32(23)), 23), _mm512_set1_epi32(0x400000));
            start = _mm512_sub_epi32(minuend, offsets[b]);
            _mm512_store_si512(starts + b * 64, start);
            _mm512_store_si512(minuends + b * 64, minuend);
        } else {
            minuend = _mm512_load_si512(minuends + b * 64);
        }
#pragma GCC unroll 4
        for (int t = 0; t < T; t++) {
            const __m512i bits = kDecodes ? _mm512_add_epi32(dots[t][b], start) : dots[t][b];
            const __m512 scaled = _mm512_sub_ps(_mm512_castsi512_ps(bits), _mm512_castsi512_ps(minuend));
            _mm512_storeu_ps(sums[t] + b * 16, _mm512_fmadd_ps(scaled, _mm512_set1_ps(groups[t]->scale), _mm512_loadu_ps(sums[t] + b * 16)));
        }
    }
}

enum class Form { offset_weights, decodes, decoded };

// Lines [begin, end) of a tile, of those that a sweep asks for ahead of their use.
struct Lines {
    int begin, end;
};

// Asks for groups [begin, end) of the tokens of the next sweep, which the shared cache takes long to give.
inline void prefetch_values(const PanelArgs &args, int first, int begin, int end) {
    for (int t = first; t < first + kSweepTokens && t < args.tokens; t++)
        for (const uint8_t *at = args.rows[t] + size_t(begin) * sizeof(OffsetGroup); at < args.rows[t] + size_t(end) * sizeof(OffsetGroup); at += 64) prefetch_ahead(at);
}

// Adds groups [begin, end) of T tokens to their sums.
template <int T, Form kForm> inline void sweep_tokens(const PanelArgs &args, int first_token, int begin, int end, const Lines &ahead) {
    float *sums[T];
#pragma GCC unroll 4
    for (int t = 0; t < T; t++) sums[t] = args.sums + size_t(first_token + t) * kTileRows;
    const uint8_t *tile = args.tiles + size_t(begin) * args.tile_stride;
    uint8_t *kept = args.scratch;
    for (int g = begin; g < end; g++, tile += args.tile_stride, kept += kKeptBytes) {
        const OffsetGroup *groups[T];
#pragma GCC unroll 4
        for (int t = 0; t < T; t++) groups[t] = &group_at(args.rows[first_token + t], g);
        for (int line = ahead.begin; line < ahead.end; line++) prefetch_ahead(tile + args.ahead + line * 64);
        if constexpr (kForm == Form::offset_weights) add_with_offset_weights<T, false>(tile, groups, sums);
        else add_with_offset_values<T, kForm == Form::decodes>(tile, kept, groups, sums);
    }
}

// Tokens from `first` on, at most kSweepTokens of them.
template <Form kForm> inline void sweep(const PanelArgs &args, int first, int begin, int end, const Lines &ahead) {
    switch (args.tokens - first) {
    case 1: return sweep_tokens<1, kForm>(args, first, begin, end, ahead);
    case 2: return sweep_tokens<2, kForm>(args, first, begin, end, ahead);
    case 3: return sweep_tokens<3, kForm>(args, first, begin, end, ahead);
    default: return sweep_tokens<kSweepTokens, kForm>(args, first, begin, end, ahead);
    }
}

bool are_exact(const PanelArgs &args, int begin, int end) {
    for (int g = begin; g < end; g++)
        if (!is_exact(args.tiles + size_t(g) * args.tile_stride)) return false;
    return true;
}

template <int kFewTokens> void panel(const PanelArgs &args) {
    for (int i = 0; i < args.tokens * kTileRows; i += 16) _mm512_storeu_ps(args.sums + i, _mm512_setzero_ps());
    if (args.tokens <= kSweepTokens) return sweep<Form::offset_weights>(args, 0, 0, args.groups, {0, kLines});
    const int sweeps = (args.tokens + kSweepTokens - 1) / kSweepTokens;
    for (int begin = 0; begin < args.groups; begin += kBlockGroups) {
        const int end = begin + kBlockGroups < args.groups ? begin + kBlockGroups : args.groups;
        const bool offset_weights = args.tokens <= kFewTokens || !are_exact(args, begin, end);
        for (int i = 0; i < sweeps; i++) { // weights of the next block are asked for evenly in all sweeps
            const Lines ahead{kLines * i / sweeps, kLines * (i + 1) / sweeps};
            prefetch_values(args, (i + 1) * kSweepTokens, begin, end);
            if (offset_weights) sweep<Form::offset_weights>(args, i * kSweepTokens, begin, end, ahead);
            else if (i == 0) sweep_tokens<kSweepTokens, Form::decodes>(args, 0, begin, end, ahead);
            else sweep<Form::decoded>(args, i * kSweepTokens, begin, end, ahead);
        }
    }
}

template <int T, bool kStarts> inline void down_tokens(const DownArgs &args, int first_token) {
    const OffsetGroup *groups[T];
    float *outputs[T];
#pragma GCC unroll 4
    for (int t = 0; t < T; t++) groups[t] = &group_at(args.groups[first_token + t], 0), outputs[t] = args.outputs[first_token + t];
    const uint8_t *tile = args.tiles;
    for (int i = 0; i < args.row_tiles; i++, tile += kTileBytes) {
#pragma GCC unroll 17
        for (int line = 0; line < kLines; line++) prefetch_ahead(tile + kPrefetchTiles * kTileBytes + line * 64);
        add_with_offset_weights<T, kStarts>(tile, groups, outputs);
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

const Kernels kAvx512Int8 = {"avx512", "int8", sizeof(OffsetGroup), prepare, panel<4>, panel<4>, down, swiglu_avx512, add_scaled_avx512, add_avx512};
const Kernels kAvx512Int8Decoding = {"avx512", "int8", sizeof(OffsetGroup), prepare, panel<16>, panel<16>, down, swiglu_avx512, add_scaled_avx512, add_avx512};

} // namespace ds4::ktb
