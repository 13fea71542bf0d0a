// The integer form that all block types share: 128 channels as signed codes with a scale per block
// of 32. Some types also have a minimum per 16 channels.
//    weight = scale * code - min_scale * min
#pragma once
#include <cstdint>

namespace ds4::cpu {

struct CodeGroup {
    int8_t codes[128]; // in the order of Activations::quants
    float scales[4];   // of blocks 0..3
    uint8_t mins[8]; // of halves in storage order: first halves of blocks 0..3, then second halves
    float min_scale; // 0 if the type has no minimums
};

// The codes of a row of a block type and, for FP4_PACKED, its scales.
struct BlockRow {
    const uint8_t *data;
    const uint8_t *scales;
};

// Decodes group `group` (channels 128 group ...) of a row of `cols` channels. Channels past the end
// have code 0 and scale 0.
using GroupDecoder = void (*)(const BlockRow &row, int64_t group, int64_t cols, CodeGroup &out);
// nullptr if the type is not a block type.
GroupDecoder group_decoder(uint32_t type);

} // namespace ds4::cpu
