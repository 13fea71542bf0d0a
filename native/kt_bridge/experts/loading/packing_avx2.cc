// Packs sixteen rows x 8 dwords at a time, as two transposes whose halves make whole lines of the
// tiles.
#include <immintrin.h>

#include "experts/loading/packing_mxfp4.h"
#include "kernels/kernels.h"

namespace ds4::ktb {
namespace {

inline void put(__m256i *at, __m256i value) {
    if constexpr (kPastCaches)
        _mm256_stream_si256(at, value);
    else
        _mm256_store_si256(at, value);
}

// dwords[i]: dword i of eight rows, from byte `at` of each.
inline void transpose(const uint8_t *const *codes, size_t at, __m256i *dwords) {
    __m256i pairs[8], quads[8];
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
        const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(codes[i] + at)),
                      b = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(codes[i + 1] + at));
        pairs[i] = _mm256_unpacklo_epi32(a, b), pairs[i + 1] = _mm256_unpackhi_epi32(a, b);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4)
#pragma GCC unroll 2
        for (int high = 0; high < 2; high++) {
            quads[i + 2 * high] = _mm256_unpacklo_epi64(pairs[i + high], pairs[i + 2 + high]);
            quads[i + 2 * high + 1] = _mm256_unpackhi_epi64(pairs[i + high], pairs[i + 2 + high]);
        }
#pragma GCC unroll 4
    for (int v = 0; v < 4; v++) {
        dwords[v] = _mm256_permute2x128_si256(quads[v], quads[4 + v], 0x20);
        dwords[4 + v] = _mm256_permute2x128_si256(quads[v], quads[4 + v], 0x31);
    }
}

} // namespace

void pack_codes_avx2(const uint8_t *const *codes, uint8_t *first, size_t stride) {
    for (int row = 0; row < kTileRows; row += 16) {
        for (int next = row; next < row + 16; next++)
            _mm_prefetch(reinterpret_cast<const char *>(codes[next] + kPackPrefetchBytes),
                         _MM_HINT_T1);
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            __m256i low[8], high[8];
            transpose(codes + row, size_t(half) * 32, low);
            transpose(codes + row + 8, size_t(half) * 32, high);
#pragma GCC unroll 8
            for (int i = 0; i < 8; i++) {
                __m256i *line = reinterpret_cast<__m256i *>(
                    first + size_t(half * 2 + i / 4) * stride + size_t(row / 16 * 4 + i % 4) * 64);
                put(line, low[i]), put(line + 1, high[i]);
            }
        }
    }
}

} // namespace ds4::ktb
