// The arithmetic of routed experts over packed tiles. One table per (method, instruction set,
// numerics); kernels know pointers and counts, not layers or threads.
//
// A tile holds 64 output rows x some inputs; how many, and in which bytes, is the method's
// (methods.h). Activations are prepared in groups of 32 inputs whatever the method.
//
// A tile of MXFP4 holds 64 output rows x 32 inputs (one scale group) in 1088 bytes, 17 cache lines:
//   16 vectors of 64 bytes: vector 4*b+v (row block b = 0..3, v = 0..3), dword lane r = canonical
//   bytes 4v..4v+3 of row 16*b+r, that is inputs 8v..8v+7, low nibble first; then 64 scale bytes
//   E8M0 [row].
// Value = E2M1(nibble) * 2^(scale - 127); scale 0 counts as zero.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/methods.h"
#include "machine/instruction_sets.h"

namespace ds4::ktb {

constexpr size_t kTileCodeBytes = 1024; // of MXFP4
constexpr size_t kTileBytes = 1088;
// Prefetch distance of weights, into L2: 17 KB. 12 to 32 tiles made no difference, and prefetching
// into L1 made decoding slower (Zen 4, two cores).
constexpr size_t kPrefetchTiles = 16;
constexpr size_t kPanelScratchBytes = 64 << 10;
constexpr int kPanelTokens = 256; // callers split larger token counts, so that sums stay in L2

// A prepared group of 32 activations: what the vectors of a tile meet, in their order.
struct Int8Group {
    int8_t values[32];  // per 8: inputs 0,2,4,6 (low nibbles) then 1,3,5,7 (high nibbles)
    float scale;        // amax / 127 / 2: weights are kept as 2 * E2M1 + 12
    int32_t correction; // -12 * sum of values
};
static_assert(sizeof(Int8Group) == 40);
struct Bf16Group {
    uint16_t values[32]; // per 8: inputs 0,4,1,5,2,6,3,7: pairs of one dword belong to one dot
                         // instruction
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
    float *const *outputs; // [tokens] distinct rows of row_tiles * 64 f32: the chains that the
                           // products continue
    int tokens;
    bool first;          // the chains start at zero here: outputs are overwritten
    int tile_groups = 1; // inputs of one tile / 32
};

// A row's sum is one chain over its groups in ascending order, from zero, whatever `tokens` is and
// whether it is made by one panel call or by down calls for one tile after the other: the bits are
// the same (within one table).
struct Kernels {
    const char *isa;
    const char *numerics;
    size_t group_bytes;
    // Activations to prepared groups. x: [groups * 32] f32.
    void (*prepare)(const float *x, int groups, uint8_t *out);
    // sums[t][row] = W row . x_t, of gate and up rows and of down rows, whose method may be another
    // one
    void (*panel)(const PanelArgs &args);
    void (*down_panel)(const PanelArgs &args);
    // outputs[t][row] continued with the products of one tile's inputs
    void (*down)(const DownArgs &args);
    // sums: 32 gate rows then 32 up rows; h = silu(min(gate, limit)) * clamp(up, limit), no clamp
    // for limit <= 0
    void (*swiglu)(const float *sums, float limit, float *h);
    // y[count] += weight * sums[count], y[count] += x[count]; count: a multiple of 64
    void (*add_scaled)(const float *sums, float weight, float *y, int count);
    void (*add)(const float *x, float *y, int count);
};

extern const Kernels kGenericInt8, kGenericBf16, kAvx2Int8, kAvx2Bf16, kAvx512Int8, kAvx512Bf16;
// The same bits for processors that permute bytes beside dot instructions but store slowly: every
// few tokens decode weights again, for any number of them (Zen 4: 0.82 of the peak at 16 tokens in
// kt_panel_bench).
extern const Kernels kAvx512Int8Decoding;

enum class Numerics {
    int8,
    bf16,
    fp8ref,
    f32
}; // f32: activations as they are, for arithmetic that must be exact
const char *numerics_name(Numerics numerics);
// Whether the AVX2 and the AVX-512 table give the same bits: integer dots of MXFP4 are exact, its
// f32 products are made in the same order, and so are all other stages.
bool have_same_bits(Method gate_up, Method down, Numerics numerics);
// nullptr: the two methods cannot be mixed, for their activations are prepared differently. fp8ref
// runs on the bf16 kernels with another preparation. MXFP4 on AVX-512 without its bf16 extension
// takes AVX2 there. Methods without an int8 form take bf16 activations for int8: the table's
// `numerics` says so.
const Kernels *kernels_for(Method gate_up, Method down, Isa isa, Numerics numerics);

} // namespace ds4::ktb
