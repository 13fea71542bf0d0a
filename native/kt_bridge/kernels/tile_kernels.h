// Kernels on matrix tiles (AMX), for experts with many tokens. Sixteen tokens make a block;
// activations lie in blocks as a tile register loads them:
//   [block][group][token of the block, 16][32 bf16 in the order of a Bf16Group], 1024 bytes a
//   (block, group).
// Weights are those of the other kernels: a group of 16 rows, decoded with its scales folded in, is
// one tile of the second operand (16 rows of pairs, 16 output rows).
//
// A row's sum is one chain over its groups; inside a group the unit adds even and odd inputs apart,
// so the bits differ from those of the other kernels, and denormal values count as zero.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace ds4::ktb {

constexpr int kBlockTokens = 16;
constexpr size_t kBlockGroupBytes = 1024;
// Panels of 64 rows that meet the activations together: the tokens of an expert are more than L2
// holds, and what comes from L3 for one panel alone comes too slowly for the unit.
constexpr int kTilePanels = 4;
constexpr size_t kTileScratchBytes = size_t(kTilePanels) * (128 << 10);
constexpr size_t kTileSumFloats =
    size_t(kTilePanels) * kPanelTokens * kTileRows; // of the largest call

// Scales whose products with any code are normal bf16 values: the tile kernels fold them into the
// weights.
constexpr int kLeastFoldedScale = 2, kLargestFoldedScale = 252;

struct TilePanelArgs {
    const uint8_t *tiles;  // weights: tile of the first input group
    size_t tile_stride;    // bytes to the tile of the next input group
    size_t panel_stride;   // bytes to the next panel's tile of the same inputs
    int panels;            // 1..kTilePanels
    int groups;            // inputs / 32
    const uint8_t *blocks; // activations: group 0 of the first block
    size_t block_stride;   // bytes to the next block
    int tokens;            // 1..kPanelTokens; the rest of the last block may hold anything
    float *sums;      // [panels][tokens rounded up to 16, 64] f32, overwritten, 64-byte aligned
    uint8_t *scratch; // kTileScratchBytes, 64-byte aligned

    size_t panel_sums() const {
        return size_t(tokens + kBlockTokens - 1) / kBlockTokens * kBlockTokens * kTileRows;
    } // floats
};

struct TileKernels {
    const char *isa;
    // On the calling thread, before and after panels.
    void (*begin)();
    void (*end)();
    // Activations of one token, x: [groups * 32] f32 at any address, to its row of consecutive
    // groups of a block.
    void (*prepare)(const float *x, int groups, uint8_t *row);
    // sums[p][t][row] = W row of panel p . x_t. All scales must be folded ones.
    void (*panels)(const TilePanelArgs &args);
};

extern const TileKernels kAmxMxfp4;
// nullptr: none for this method and instruction set.
const TileKernels *tile_kernels_for(Method method, Isa isa);

} // namespace ds4::ktb
