// Rows of a weight matrix and the decoding of their groups of 128 channels. The namespace is
// unnamed because each file that includes this is compiled for its own CPU.
//
// A decoder of a block type has:
//    Codes: the decoded form
//    kBlockBytes (0: rows are always whole steps), kGroupBytes, kSeparateScales
//    kResultFactor: factor of a product of its codes and scales
//    kStepGroups: groups that it decodes at a time, 1 or 2
//    load(row, group) if kStepGroups is 1, load_pair(row, pair, out) if it is 2
#pragma once
#include "backend/cpu/kernels/groups.h"
#include "backend/cpu/kernels/operands.h"
#include "format/convert.h"

namespace ds4::cpu {
namespace {

// A panel: rows [row, row + rows) of the weights times tokens [token, token + tokens) of the task.
struct PanelPlace {
    int64_t row, token;
    int rows, tokens;
};

struct RowLayout {
    const Matrix *weight;
    int64_t row_bytes, full_groups, tail_blocks, groups;
};

inline RowLayout row_layout(const Matrix &weight) {
    RowLayout layout{};
    layout.weight = &weight;
    layout.row_bytes = int64_t(row_bytes(weight.type, uint64_t(weight.cols)));
    layout.full_groups = weight.cols / kGroupChannels;
    layout.tail_blocks = weight.cols % kGroupChannels / 32;
    layout.groups = layout.full_groups + (layout.tail_blocks != 0 ? 1 : 0);
    return layout;
}

template <typename Decoder> inline BlockRow block_row(const RowLayout &layout, int64_t row) {
    const Matrix &weight = *layout.weight;
    return {weight.data + row * layout.row_bytes,
            Decoder::kSeparateScales ? weight.scales + row * (weight.cols / 32) : nullptr};
}

// Decodes the last, incomplete group of a row from a copy filled up with zeros, so that nothing is
// read past the row.
template <typename Decoder>
inline typename Decoder::Codes load_tail(const BlockRow &row, const RowLayout &layout) {
    uint8_t blocks[kGroupBlocks * Decoder::kBlockBytes] = {}, scales[kGroupBlocks] = {};
    const uint8_t *from = row.data + layout.full_groups * kGroupBlocks * Decoder::kBlockBytes;
    for (int64_t i = 0; i < layout.tail_blocks * Decoder::kBlockBytes; i++) blocks[i] = from[i];
    if constexpr (Decoder::kSeparateScales)
        for (int64_t b = 0; b < layout.tail_blocks; b++)
            scales[b] = row.scales[layout.full_groups * kGroupBlocks + b];
    return Decoder::load({blocks, scales}, 0);
}

// Decodes kStepGroups whole groups from `group`, a multiple of it. Inlined, so that codes do not
// pass through memory.
template <typename Decoder>
[[gnu::always_inline]] inline void load_whole_step(const BlockRow &row, int64_t group,
                                                   typename Decoder::Codes *out) {
    if constexpr (Decoder::kStepGroups == 2)
        Decoder::load_pair(row, group / 2, out);
    else
        out[0] = Decoder::load(row, group);
}

// The same for a row whose last group may be incomplete.
template <typename Decoder>
inline void load_step(const BlockRow &row, const RowLayout &layout, int64_t group,
                      typename Decoder::Codes *out) {
    if constexpr (Decoder::kBlockBytes != 0)
        if (group >= layout.full_groups) {
            out[0] = load_tail<Decoder>(row, layout);
            return;
        }
    load_whole_step<Decoder>(row, group, out);
}

} // namespace
} // namespace ds4::cpu
