// The tile unit of the processor. Registers are configured per thread: palette 1, all of them 16
// rows x 64 bytes.
#include <immintrin.h>

#include "kernels/mxfp4_tile_panel.h"

namespace ds4::ktb {
namespace {

struct AmxUnit {
    template <int t> static void zero() { __asm__ volatile("tilezero %%tmm%c0" ::"n"(t)); }
    template <int t> static void load(const void *address, size_t stride) {
        __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(address), "r"(stride), "n"(t)
                         : "memory");
    }
    template <int t> static void store(void *address, size_t stride) {
        __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(address), "r"(stride), "n"(t)
                         : "memory");
    }
    template <int c, int a, int b> static void dot() {
        __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"n"(c), "n"(a), "n"(b));
    }
    static void fetch(const uint8_t *tile) {
#pragma GCC unroll 17
        for (size_t line = 0; line < kTileBytes / 64; line++)
            _mm_prefetch(reinterpret_cast<const char *>(tile + line * 64), _MM_HINT_T1);
    }
    // A 16-bit word of a code vector holds four nibbles. Shifted by 0, 4, 8 and 12 it indexes a
    // word permute, whose table is repeated and whose upper bits are ignored. Values in the table
    // are 2^125 times too large, so that the scale only ever lowers the exponent. A subtraction
    // that saturates leaves zeros alone.
    static void decode(const uint8_t *tile, int b, uint8_t *out) {
        const __m256i words =
            _mm256_setr_epi16(0, 0x7d80, 0x7e00, 0x7e40, 0x7e80, 0x7ec0, 0x7f00, 0x7f40, 0,
                              short(0xfd80), short(0xfe00), short(0xfe40), short(0xfe80),
                              short(0xfec0), short(0xff00), short(0xff40));
        const __m512i table = _mm512_broadcast_i64x4(words);
        const __m512i bytes = _mm512_cvtepu8_epi32(_mm_load_si128(
            reinterpret_cast<const __m128i *>(tile + kTileCodeBytes + size_t(b) * 16)));
        const __m512i lower =
            _mm512_slli_epi32(_mm512_sub_epi32(_mm512_set1_epi32(kLargestFoldedScale), bytes), 7);
        const __m512i lowered = _mm512_or_epi32(_mm512_slli_epi32(lower, 16), lower);
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) {
            const __m512i codes = _mm512_load_si512(tile + (size_t(b) * 4 + size_t(v)) * 64);
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++, out += 64) {
                const __m512i value = _mm512_permutexvar_epi16(
                    i == 0 ? codes : _mm512_srli_epi16(codes, unsigned(i) * 4), table);
                _mm512_store_si512(out, _mm512_subs_epu16(value, lowered));
            }
        }
    }
};

void begin() {
    struct alignas(64) Configuration {
        uint8_t palette = 1, start_row = 0, reserved[14] = {};
        uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
        uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    };
    static_assert(sizeof(Configuration) == 64);
    const Configuration configuration;
    __asm__ volatile("ldtilecfg %0" ::"m"(configuration));
}

void end() { __asm__ volatile("tilerelease" ::: "memory"); }

void prepare(const float *x, int groups, uint8_t *row) {
    alignas(64) static constexpr int16_t kOrder[32] = {0,  4,  1,  5,  2,  6,  3,  7,  8,  12, 9,
                                                       13, 10, 14, 11, 15, 16, 20, 17, 21, 18, 22,
                                                       19, 23, 24, 28, 25, 29, 26, 30, 27, 31};
    const __m512i order = _mm512_load_si512(kOrder);
    for (int g = 0; g < groups; g++, x += kGroup, row += kBlockGroupBytes) {
        const __m512i words =
            (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + 16), _mm512_loadu_ps(x));
        _mm512_store_si512(row, _mm512_permutexvar_epi16(order, words));
    }
}

void panels(const TilePanelArgs &args) { tile_panels<AmxUnit>(args); }

} // namespace

const TileKernels kAmxMxfp4 = {"amx", begin, end, prepare, panels};

} // namespace ds4::ktb
