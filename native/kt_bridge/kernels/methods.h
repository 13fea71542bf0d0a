// Ways of holding expert weights: canonical rows, tiles and slices of each method. The arithmetic
// is in kernels.h.
//
// A tile is 64 output rows x some inputs. Tiles of MXFP4 interleave their rows (kernels.h). Those
// of every other method are the canonical bytes of 64 row pieces, one after the other, and then
//   FP8: f32 scales of rows 0..31 and of rows 32..63, one per 128 inputs each, padded to 64 bytes
//   FP8_PERCHANNEL: 64 f32 scales
// docs/formats/packed-experts.md draws them.
#pragma once
#include <cstddef>
#include <cstdint>

namespace ds4::ktb {

constexpr int kTileRows = 64;
constexpr int kGroup = 32; // inputs of a prepared group; for MXFP4 they also share a scale
constexpr int kMaximumSliceChannels = 256;

enum class Method {
    mxfp4,
    bf16,
    fp8,
    fp8_perchannel,
    q8_0,
    q2_k,
    q4_k,
    iq2_xxs
}; // as in the table of methods.cc

// Canonical scales of a matrix: [rows / scale_rows, columns / scale_columns] of scale_bytes each,
// E8M0 or f32.
struct MethodTraits {
    const char *name;
    int abi_number;     // KTB_*
    uint32_t type;      // DS4_TYPE_* of a canonical row
    int slice_channels; // expert channels that one record holds; the inputs of a down tile
    int input_unit;     // inputs of a gate/up tile; 0: all of them
    int column_step;    // widths are multiples of it
    int scale_rows, scale_columns; // that share a scale; columns 0: all
    int scale_bytes;               // 0: the rows hold their scales
};
const MethodTraits &method_traits(Method method);
// false: no method of ours has that number
bool find_method(int abi_number, Method &out);
const char *method_names(); // for messages

size_t row_bytes(Method method, int columns);       // codes of a canonical row
size_t scale_row_bytes(Method method, int columns); // its scales
size_t tile_bytes(Method method, int inputs);       // a multiple of 64

} // namespace ds4::ktb
