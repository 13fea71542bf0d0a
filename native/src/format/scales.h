// Power-of-two scales in bf16, as E8M0 bytes.
#pragma once
#include <cstddef>
#include <cstdint>

namespace ds4 {

// Writes the E8M0 byte of each of `count` bf16 words, at any alignment. Returns the index of the
// first word that is no power of two from 2^-126 to 2^127 and not zero, or `count`. Zero becomes
// byte 0; bytes from that index on are unspecified.
size_t bf16_scales_to_e8m0(const uint8_t *words, size_t count, uint8_t *out);

} // namespace ds4
