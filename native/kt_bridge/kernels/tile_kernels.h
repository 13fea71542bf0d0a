// Kernels on matrix tiles (AMX), for experts with many tokens. Sixteen tokens make a block.
// Activations lie in blocks as a tile register loads them, 1024 bytes for each block and group:
//   [block][group][token of the block, 16][32 bf16 in the order of a Bf16Group]
//
// Weights are those of the other kernels. A group of 16 rows, decoded with its scales folded in, is
// one tile of the second operand. That tile has 16 rows of pairs for 16 output rows.
//
// A row's sum is one chain over its groups. Inside a group the unit adds even and odd inputs apart,
// and denormal values count as zero. The bits therefore differ from those of the other kernels.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace ds4::ktb {

constexpr int kBlockTokens = 16;
constexpr size_t kBlockGroupBytes = 1024;
// Panels of 64 rows that one call multiplies. Activations of an expert with many tokens exceed L2,
// and L3 is too slow to deliver them for one panel alone.
constexpr int kTilePanels = 4;
constexpr size_t kTileScratchBytes = size_t(kTilePanels) * (128 << 10);
constexpr size_t kTileSumFloats =
    size_t(kTilePanels) * kPanelTokens * kTileRows; // in the largest call

// The tile kernels fold scales into the weights. The products of these scales with any code are
// normal bf16 values.
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
    // Called on each thread before and after its panels.
    void (*begin)();
    void (*end)();
    // Writes the activations of one token to its row in consecutive groups of a block. x: [groups *
    // 32] f32 at any address.
    void (*prepare)(const float *x, int groups, uint8_t *row);
    // sums[p][t][row] = W row of panel p . x_t. All scales must be folded ones.
    void (*panels)(const TilePanelArgs &args);
};

extern const TileKernels kAmxMxfp4;
// nullptr: there are none for this method and instruction set.
const TileKernels *tile_kernels_for(Method method, Isa isa);

} // namespace ds4::ktb
