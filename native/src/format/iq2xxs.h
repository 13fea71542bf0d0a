// The codebook of IQ2_XXS: 256 points of eight coordinates in {8, 25, 43}, and its sign masks.
#pragma once
#include <cstdint>

#include "format/iq2xxs_levels.h"

namespace ds4 {

struct Iq2XxsGrid {
    uint64_t rows[256]; // eight bytes each, coordinate 0 in the low byte
};
extern const Iq2XxsGrid kIq2XxsGrid;

// Sign masks of all 128 indices, and the same as eight bytes of 1 or -1.
struct Iq2XxsSigns {
    alignas(64) uint8_t masks[128];
    uint64_t factors[128];
};
extern const Iq2XxsSigns kIq2XxsSigns;

// Mask of negative coordinates of a 7-bit sign index: bit 7 makes the number of set bits even.
constexpr uint8_t iq2xxs_signs(uint32_t index) {
    uint32_t parity = index ^ (index >> 4);
    parity ^= parity >> 2;
    parity ^= parity >> 1;
    return uint8_t((index & 127u) | ((parity & 1u) << 7));
}

} // namespace ds4
