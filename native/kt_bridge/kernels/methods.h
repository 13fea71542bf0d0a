// How expert weights are held: what a method's tiles and slices are. The arithmetic over them is kernels.h.
#pragma once
#include <cstddef>
#include <cstdint>

namespace ds4::ktb {

constexpr int kTileRows = 64;
constexpr int kGroup = 32; // inputs of a prepared group of activations; of MXFP4 also those that share a scale
constexpr int kMaximumSliceChannels = 256;

enum class Method { mxfp4 }; // in the order of the table in methods.cc

struct MethodTraits {
    const char *name;
    int abi_number;     // KTB_*
    int slice_channels; // expert channels that one record holds; the inputs of a down tile
    int input_unit;     // inputs of a gate/up tile; 0: all of them
};
const MethodTraits &method_traits(Method method);
// false: no method of ours has that number
bool find_method(int abi_number, Method &out);
// Bytes of a tile of 64 rows x `inputs`, a multiple of 64.
size_t tile_bytes(Method method, int inputs);

} // namespace ds4::ktb
