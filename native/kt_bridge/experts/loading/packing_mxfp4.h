// Packing the codes of MXFP4 strips into tiles. AVX2 reaches the rate that stores past the caches
// allow a core, 22 GB/s on Zen 5 (one core of two). AVX-512 reaches no more, and 16-byte vectors
// 14.
#pragma once
#include <cstddef>
#include <cstdint>

#include "experts/loading/packing.h"

namespace ds4::ktb {

constexpr int kPackPrefetchBytes = 3 * kPackChannels / 2; // prefetch distance in a row

// Sanitizers do not see stores past the caches. Under them the same stores are ordinary.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool kPastCaches = false;
#else
constexpr bool kPastCaches = true;
#endif

// Packs kPackChannels channels of 64 rows, 64 bytes of codes each, into four tiles `stride` bytes
// apart. Stores go past the caches.
using PackCodes = void (*)(const uint8_t *const *codes, uint8_t *first, size_t stride);
void pack_codes_plain(const uint8_t *const *codes, uint8_t *first, size_t stride);
void pack_codes_avx2(const uint8_t *const *codes, uint8_t *first, size_t stride);

} // namespace ds4::ktb
