// int8 activations with AVX2: one digit. From kDecodeOnceTokens on, weights are decoded once for
// all tokens. They are then signed, so that they are the operand that may lie in memory, and
// activations have the offset, q + 128. Sums of products start at -128 times the weights. A whole
// group's sum ends within 16 bits, |127 * 12| * 16 = 24384, whatever wraps on the way. The integers
// are the same as without decoding once, and so are all bits.
#include <cstddef>

#include "kernels/digit_micro_kernels.h"
#include "kernels/stages.h"

namespace ds4::ktb {
namespace {

using MicroKernels = DigitMicroKernels<1>;
static_assert(sizeof(MicroKernels::Group) == sizeof(Int8Group) &&
              offsetof(Int8Group, scale) == offsetof(MicroKernels::Group, scale) &&
              offsetof(Int8Group, correction) == offsetof(MicroKernels::Group, correction));

void prepare(const float *x, int groups, uint8_t *out) {
    for (int g = 0; g < groups; g++, x += kGroup) {
        Int8Group &group = reinterpret_cast<Int8Group *>(out)[g];
        const __m256 part[4] = {_mm256_loadu_ps(x), _mm256_loadu_ps(x + 8), _mm256_loadu_ps(x + 16),
                                _mm256_loadu_ps(x + 24)};
        const uint32_t largest = largest_bits(part);
        const float amax = __builtin_bit_cast(float, largest);
        const bool finite = largest < 0x7f800000u,
                   usable = finite && amax > 4e-37f; // 127 / amax stays finite
        const __m256 inverse = _mm256_set1_ps(usable ? 127.0f / amax : 0.0f);
        __m256i integers[4];
        for (int i = 0; i < 4; i++)
            integers[i] = usable ? _mm256_cvtps_epi32(_mm256_mul_ps(part[i], inverse))
                                 : _mm256_setzero_si256();
        store_digits(integers, group.values);
        group.scale = finite ? (usable ? amax / 127.0f * 0.5f : 0.0f) : __builtin_nanf("");
        group.correction = -12 * sum_of(integers);
    }
}

// ---- weights that are decoded once ----

constexpr int kDecodeOnceTokens = 12; // equal at 8, faster at 16 (Zen 4)
// Decoded weights of 8 rows and a group.
struct DecodedHalf {
    __m256i parts[8]; // 2 * E2M1 of inputs 4i..4i+3 of the group's order
    __m256i starts;   // of the sums: 16-bit words, two a row
    __m256 scales;
};
struct DecodedTile {
    DecodedHalf halves[kHalves];
};
static_assert(kBlockGroups * sizeof(DecodedTile) <= kPanelScratchBytes);

void decode_tile(const uint8_t *tile, DecodedTile &decoded) {
    const __m256i table = _mm256_broadcastsi128_si256(
                      _mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)),
                  mask = _mm256_set1_epi8(15);
    for (int half = 0; half < kHalves; half++) {
        DecodedHalf &out = decoded.halves[half];
        __m256i sum = _mm256_setzero_si256(); // sums of eight weights: -96..96
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) {
            const __m256i packed = _mm256_load_si256(
                reinterpret_cast<const __m256i *>(half_codes(tile, half) + v * 64));
            out.parts[2 * v] = _mm256_shuffle_epi8(table, _mm256_and_si256(packed, mask));
            out.parts[2 * v + 1] =
                _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(packed, 4), mask));
            sum = _mm256_add_epi8(sum, _mm256_add_epi8(out.parts[2 * v], out.parts[2 * v + 1]));
        }
        out.starts = _mm256_sub_epi16(_mm256_setzero_si256(),
                                      _mm256_maddubs_epi16(_mm256_set1_epi8(char(0x80)), sum));
        out.scales = half_scales(tile, half);
    }
}

// Groups [begin, end) of one token. Its values stay in registers for all halves of a tile, two of
// which advance together.
template <bool kStarts>
[[gnu::noinline]] void decoded_micro_kernel(const PanelArgs &args, int token, int begin, int end,
                                            const Lines &prefetch) {
    float *const sums = args.sums + size_t(token) * kTileRows;
    const DecodedTile *decoded = reinterpret_cast<const DecodedTile *>(args.scratch);
    for (int g = begin; g < end; g++, decoded++) {
        const Int8Group &group = reinterpret_cast<const Int8Group *>(args.rows[token])[g];
        for (int line = prefetch.begin; line < prefetch.end; line++)
            prefetch_weights(args.prefetch_tile(args.tiles + size_t(g) * args.tile_stride, g) +
                             line * 64);
        __m256i values[8];
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            values[i] = _mm256_xor_si256(broadcast_dword(group.values + i * 4),
                                         _mm256_set1_epi8(char(0x80)));
        const __m256 scale = _mm256_broadcast_ss(&group.scale);
        for (int half = 0; half < kHalves; half += 2) {
            const DecodedHalf *const halves = decoded->halves + half;
            __m256i words[2] = {halves[0].starts, halves[1].starts};
#pragma GCC unroll 8
            for (int i = 0; i < 8; i++)
#pragma GCC unroll 2
                for (int n = 0; n < 2; n++) {
                    words[n] = _mm256_add_epi16(
                        words[n], _mm256_maddubs_epi16(values[i], halves[n].parts[i]));
                    keep_in_order(words[n]);
                }
#pragma GCC unroll 2
            for (int n = 0; n < 2; n++) {
                float *const sum = sums + (half + n) * 8;
                const __m256 dots = _mm256_cvtepi32_ps(
                                 _mm256_madd_epi16(words[n], _mm256_set1_epi16(1))),
                             factor = _mm256_mul_ps(scale, halves[n].scales);
                _mm256_storeu_ps(sum,
                                 _mm256_fmadd_ps(dots, factor,
                                                 kStarts && g == begin ? _mm256_setzero_ps()
                                                                       : _mm256_loadu_ps(sum)));
            }
        }
    }
}

void panel(const PanelArgs &args) {
    if (args.tokens < kDecodeOnceTokens) return MicroKernels::panel(args);
    for (int begin = 0; begin < args.groups; begin += kBlockGroups) {
        const int end = block_end(args, begin);
        for (int g = begin; g < end; g++)
            decode_tile(args.tiles + size_t(g) * args.tile_stride,
                        reinterpret_cast<DecodedTile *>(args.scratch)[g - begin]);
        for (int t = 0; t < args.tokens; t++) {
            const Lines prefetch{kTileLines * t / args.tokens, kTileLines * (t + 1) / args.tokens};
            if (begin == 0)
                decoded_micro_kernel<true>(args, t, begin, end, prefetch);
            else
                decoded_micro_kernel<false>(args, t, begin, end, prefetch);
        }
    }
}

} // namespace

const Kernels kAvx2Int8 = {"avx2",          "int8",  sizeof(Int8Group),  prepare,
                           panel,           panel,   MicroKernels::down, swiglu_avx2,
                           add_scaled_avx2, add_avx2};

} // namespace ds4::ktb
