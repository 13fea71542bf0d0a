// Where the weights of one layer lie in memory. docs/formats/packed-experts.md draws it.
//
// The intermediate size I is split over parts in chunks of 128 channels, or of a slice where that
// is more. Within a part, slices follow each other; a slice of MXFP4 has 32 channels. A slice of
// one expert is one contiguous record, which a worker reads front to back:
//   a panel for every 32 of its channels: tiles of [32 gate rows, 32 up rows] x the method's input
//       unit, in input order
//   H/64 tiles of [64 down rows] x the channels of the slice
// The arena of a part is [slot][slice of the part][record]. A slot is the place of one expert
// (packed_weights.h).
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/kernels.h"

namespace ds4::ktb {

constexpr int kSplitChannels = 128; // of the smallest piece of a part; a slice where that is more

struct LayerMethods {
    Method gate_up = Method::mxfp4, down = Method::mxfp4; // files mix them: IQ2_XXS with Q2_K
    Method of(int matrix) const { return matrix == 2 ? down : gate_up; } // kGate, kUp, kDown
};

struct ExpertLayerShape {
    int experts;
    int experts_per_token;
    int hidden;
    int intermediate; // I, the width of an expert
};

struct LayerLayout {
    LayerLayout() = default;
    // part_workers: threads of each part, to which its channels are in proportion.
    LayerLayout(const LayerMethods &methods, const ExpertLayerShape &shape,
                const std::vector<int> &part_workers);

    int input_groups = 0;      // H / 32
    int input_unit = 0;        // inputs of a gate/up tile
    int input_tile_groups = 0; // input_unit / 32
    size_t input_tile_bytes = 0;
    int slice_channels = 0;
    int panels = 0; // in a slice: slice_channels / 32
    size_t panel_bytes = 0;
    int row_tiles = 0; // H / 64
    size_t down_tile_bytes = 0;
    size_t record_bytes = 0; // one slice of one expert
    size_t down_offset = 0;  // of the down tiles within a record
    // [parts + 1] first slice of each part, counted in slices of the whole expert
    std::vector<int> slice_begin;

    int slice_groups() const { return panels; } // prepared groups that a slice's down tiles meet
    int parts() const { return int(slice_begin.size()) - 1; }
    int slices(int part) const { return slice_begin[size_t(part) + 1] - slice_begin[size_t(part)]; }
    size_t expert_bytes(int part) const { return size_t(slices(part)) * record_bytes; }
    size_t expert_bytes() const { return size_t(slice_begin.back()) * record_bytes; } // all parts
};

} // namespace ds4::ktb
