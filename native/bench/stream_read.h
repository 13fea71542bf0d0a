// The plainest read of memory, with the widest loads that the CPU has. The rates of products are
// compared with it.
#pragma once
#include "backend/cpu/kernels/intrinsics.h"

#include <cstdint>

namespace ds4::bench {

// Both return a word that depends on every byte read, so that no load can be left out. `bytes` is
// rounded down to whole steps of 512.
__attribute__((target("avx512f"))) inline uint64_t stream_read_avx512(const uint8_t *memory,
                                                                      uint64_t bytes) {
    __m512i sums[4] = {};
    for (uint64_t i = 0; i + 512 <= bytes; i += 512)
        for (int part = 0; part < 8; part++)
            sums[part % 4] =
                _mm512_or_si512(sums[part % 4], _mm512_loadu_si512(memory + i + 64 * part));
    const __m512i all =
        _mm512_or_si512(_mm512_or_si512(sums[0], sums[1]), _mm512_or_si512(sums[2], sums[3]));
    return uint64_t(_mm512_reduce_or_epi64(all));
}

inline uint64_t stream_read_sse2(const uint8_t *memory, uint64_t bytes) {
    __m128i sums[4] = {};
    for (uint64_t i = 0; i + 512 <= bytes; i += 512)
        for (int part = 0; part < 32; part++)
            sums[part % 4] =
                _mm_or_si128(sums[part % 4],
                             _mm_loadu_si128(reinterpret_cast<const __m128i *>(memory + i) + part));
    const __m128i all =
        _mm_or_si128(_mm_or_si128(sums[0], sums[1]), _mm_or_si128(sums[2], sums[3]));
    return uint64_t(_mm_cvtsi128_si64(all)) |
           uint64_t(_mm_cvtsi128_si64(_mm_unpackhi_epi64(all, all)));
}

inline uint64_t stream_read(const uint8_t *memory, uint64_t bytes) {
    return __builtin_cpu_supports("avx512f") ? stream_read_avx512(memory, bytes)
                                             : stream_read_sse2(memory, bytes);
}

} // namespace ds4::bench
