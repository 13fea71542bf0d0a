// Where the weights of one layer lie in memory.
//
// The intermediate size I is split over parts in chunks of 128 channels, or of a slice where that
// is more. Within a part, slices follow each other (of 32 channels for MXFP4), and a slice of one
// expert is one contiguous record that a worker reads front to back:
//   for every 32 of its channels a panel: tiles of [32 gate rows, 32 up rows] x the method's input
//   unit, in input order; then H/64 tiles of [64 down rows] x the channels of the slice.
// Part arena: [slot][slice of the part][record], where a slot is the place of one expert
// (packed_weights.h).
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/kernels.h"

namespace ds4::ktb {

constexpr int kSplitChannels =
    128; // of the smallest piece that a part gets; a slice where that is more

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
    // part_workers: threads of each part; channels are dealt in proportion.
    LayerLayout(const LayerMethods &methods, const ExpertLayerShape &shape,
                const std::vector<int> &part_workers);

    int input_groups = 0;      // H / 32
    int input_unit = 0;        // inputs of a gate/up tile
    int input_tile_groups = 0; // the same / 32
    size_t input_tile_bytes = 0;
    int slice_channels = 0;
    int panels = 0; // of a slice: slice_channels / 32
    size_t panel_bytes = 0;
    int row_tiles = 0; // H / 64
    size_t down_tile_bytes = 0;
    size_t record_bytes = 0; // one slice of one expert
    size_t down_offset = 0;  // of the down tiles within a record
    std::vector<int>
        slice_begin; // [parts + 1] first slice of each part, in slices of the whole expert

    int slice_groups() const { return panels; } // prepared groups that a slice's down tiles meet
    int parts() const { return int(slice_begin.size()) - 1; }
    int slices(int part) const { return slice_begin[size_t(part) + 1] - slice_begin[size_t(part)]; }
    size_t expert_bytes(int part) const { return size_t(slices(part)) * record_bytes; }
    size_t expert_bytes() const {
        return size_t(slice_begin.back()) * record_bytes;
    } // of all parts
};

} // namespace ds4::ktb
