// Where the weights of one layer lie in memory, and how canonical rows become tiles and back.
//
// The inner width I is split over parts in chunks of 128 channels, or of a slice where that is more. Within a part,
// slices follow each other (of 32 channels for MXFP4), and a slice of one expert is one contiguous record that a worker
// reads front to back:
//   for every 32 of its channels a panel: tiles of [32 gate rows, 32 up rows] x the method's input unit, in input order;
//   then H/64 tiles of [64 down rows] x the channels of the slice.
// Part arena: [expert][slice of the part][record].
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/kernels.h"

namespace ds4::ktb {

constexpr int kSplitChannels = 128; // at least
// Channels that a part boundary may not split.
int split_channels(Method method);

struct LayerShape {
    int experts;
    int used; // experts per token
    int hidden;
    int inner; // expert width I
};

struct LayerLayout {
    LayerLayout() = default;
    // part_workers: threads of each part; channels are dealt in proportion.
    LayerLayout(Method method, const LayerShape &shape, const std::vector<int> &part_workers);

    int input_groups = 0;          // H / 32
    int input_tile_groups = 0;     // inputs of a gate/up tile / 32
    size_t input_tile_bytes = 0;
    int slice_channels = 0;
    int panels = 0;                // of a slice: slice_channels / 32
    size_t panel_bytes = 0;
    int row_tiles = 0;             // H / 64
    size_t down_tile_bytes = 0;
    size_t record_bytes = 0;       // one slice of one expert
    size_t down_offset = 0;        // of the down tiles within a record
    std::vector<int> slice_begin;  // [parts + 1] first slice of each part, in slices of the whole expert

    int slice_groups() const { return panels; } // prepared groups that a slice's down tiles meet
    int parts() const { return int(slice_begin.size()) - 1; }
    int slices(int part) const { return slice_begin[size_t(part) + 1] - slice_begin[size_t(part)]; }
    size_t expert_bytes(int part) const { return size_t(slices(part)) * record_bytes; }
};

constexpr int kPackGroups = kSplitChannels / kGroup; // 64 bytes of codes a row: one cache line

// Canonical bytes of 64 rows: row r's codes of kPackGroups groups are 64 bytes at codes[r], their scales 4 bytes at
// scales[r]. Writes the kPackGroups tiles at tile, tile + stride, ... (64-byte aligned). Four groups at once because
// the rows of a matrix lie a power of two apart: their lines fall into few cache sets and do not wait for a second use.
void pack_tiles(const uint8_t *const *codes, const uint8_t *const *scales, uint8_t *tile, size_t stride);
// Row `row` of a tile: its 16 code bytes to codes; returns its scale.
uint8_t unpack_row(const uint8_t *tile, int row, uint8_t *codes);

} // namespace ds4::ktb
