// The arithmetic of routed experts over packed tiles. There is one table of functions for each
// method, instruction set and numerics. Kernels know pointers and counts, not layers or threads.
//
// A tile holds 64 output rows x some inputs; methods.h says how many and in which bytes.
// Activations are prepared in groups of 32 inputs whatever the method.
//
// A tile of MXFP4 holds 64 output rows x 32 inputs (one scale group) in 1088 bytes, 17 cache lines:
//   16 vectors of 64 bytes. Vector 4*b+v belongs to row block b = 0..3 and dword v = 0..3; its
//   dword
//       lane r is bytes 4v..4v+3 of the canonical row 16*b+r: inputs 8v..8v+7, low nibble first
//   64 scale bytes E8M0, one a row
// A weight is E2M1(nibble) * 2^(scale - 127); scale 0 counts as zero.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/methods.h"
#include "machine/instruction_sets.h"

namespace ds4::ktb {

constexpr size_t kTileCodeBytes = 1024; // of a tile of MXFP4
constexpr size_t kTileBytes = 1088;
// Prefetch distance of weights, into L2: 17 KB. 12 to 32 tiles made no difference, and prefetching
// into L1 made decoding slower (Zen 4, two cores).
constexpr size_t kPrefetchTiles = 16;
constexpr size_t kPanelScratchBytes = 64 << 10;
constexpr int kPanelTokens = 256; // callers split larger token counts, so that sums stay in L2

// A prepared group of 32 activations, in the order in which the vectors of a tile meet them.
struct Int8Group {
    int8_t values[32];  // per 8: inputs 0,2,4,6 (low nibbles) then 1,3,5,7 (high nibbles)
    float scale;        // amax / 127 / 2: weights are kept as 2 * E2M1 + 12
    int32_t correction; // -12 * sum of values
};
static_assert(sizeof(Int8Group) == 40);
struct Bf16Group {
    uint16_t values[32]; // per 8: inputs 0,4,1,5,2,6,3,7; a dot instruction takes pairs
};
static_assert(sizeof(Bf16Group) == 64);

struct PanelArgs {
    const uint8_t *tiles;       // tile of the first input group
    size_t tile_stride;         // bytes to the tile of the next input group
    int groups;                 // inputs / 32, of all tiles
    const uint8_t *const *rows; // [tokens] prepared activations, `groups` groups each
    int tokens;                 // 1..kPanelTokens
    float *sums;                // [tokens, 64] f32, overwritten
    uint8_t *scratch;           // kPanelScratchBytes, 64-byte aligned
    int tile_groups = 1;        // inputs of one tile / 32; divides `groups`
    // Bytes from a tile to the one that is prefetched while it is multiplied.
    size_t prefetch_bytes = kPrefetchTiles * kTileBytes;
    // From group next_begin on, the tiles of the next call are prefetched instead, one a group.
    int next_begin = INT32_MAX;
    const uint8_t *next_tiles = nullptr;
    size_t next_stride = 0; // bytes

    const uint8_t *prefetch_tile(const uint8_t *tile, int group) const {
        return group < next_begin ? tile + prefetch_bytes
                                  : next_tiles + size_t(group - next_begin) * next_stride;
    }
};

struct DownArgs {
    const uint8_t *tiles; // row_tiles tiles of the same inputs, contiguous
    int row_tiles;
    const uint8_t *const *groups; // [tokens] tile_groups prepared groups each
    float *const *outputs;        // [tokens] distinct rows of row_tiles * 64 f32, continued
    int tokens;
    bool first;          // the sums start at zero: outputs are overwritten
    int tile_groups = 1; // inputs of one tile / 32
};

// A row's sum is one chain over its groups in ascending order, from zero. The bits are the same for
// any number of tokens, and for one panel call or down calls tile by tile. Two tables may differ.
struct Kernels {
    const char *isa;
    const char *numerics;
    size_t group_bytes;
    // Activations to prepared groups. x: [groups * 32] f32.
    void (*prepare)(const float *x, int groups, uint8_t *out);
    // sums[t][row] = W row . x_t. The method of down may be another one than that of gate and up.
    void (*panel)(const PanelArgs &args);
    void (*down_panel)(const PanelArgs &args);
    // Adds the products of one tile's inputs to outputs[t][row].
    void (*down)(const DownArgs &args);
    // sums: 32 gate rows, then 32 up rows. h = silu(min(gate, limit)) * clamp(up, limit), without
    // the clamps for limit <= 0.
    void (*swiglu)(const float *sums, float limit, float *h);
    // y[count] += weight * sums[count], and y[count] += x[count]. count is a multiple of 64.
    void (*add_scaled)(const float *sums, float weight, float *y, int count);
    void (*add)(const float *x, float *y, int count);
};

extern const Kernels kGenericInt8, kGenericBf16, kAvx2Int8, kAvx2Bf16, kAvx512Int8, kAvx512Bf16;
// The same bits as kAvx512Int8, for processors that permute bytes beside dot instructions but store
// slowly (Zen). It decodes weights again for every few tokens. Zen 4 reaches 0.82 of the peak at 16
// tokens in kt_panel_bench.
extern const Kernels kAvx512Int8Decoding;

// How activations are rounded ahead of products.
enum class Numerics {
    int8, // per 32 values
    bf16,
    fp8ref, // as the official recipe does, fp8_reference.h
    f32,    // not at all
};
const char *numerics_name(Numerics numerics);
// Whether the AVX2 and the AVX-512 table give the same bits. For MXFP4, integer dots are exact, and
// f32 products and all other stages are made in the same order.
bool have_same_bits(Method gate_up, Method down, Numerics numerics);
// nullptr: the two methods cannot be mixed, because their activations are prepared differently.
// fp8ref runs on the bf16 kernels with another preparation. MXFP4 on AVX-512 without its bf16
// extension takes the AVX2 table there. Methods without an int8 form take bf16 activations for
// int8, which the table's `numerics` says.
const Kernels *kernels_for(Method gate_up, Method down, Isa isa, Numerics numerics);

} // namespace ds4::ktb
