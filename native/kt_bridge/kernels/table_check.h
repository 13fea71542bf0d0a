// Checks that a kernel table computes on this CPU what the plain kernels compute, on packed
// weights.
#pragma once
#include <string>

#include "kernels/kernels.h"
#include "kernels/tile_kernels.h"

namespace ds4::ktb {

// One strip of each kind of matrix, where it lies in a layer.
struct CheckWeights {
    const uint8_t *input_tiles; // a panel of gate and up
    size_t input_stride;
    int input_groups, input_tile_groups;
    const uint8_t *down_tiles; // one slice's
    int row_tiles, down_tile_groups;
};

// Empty when the table agrees with `plain`; else the stage that does not, and by how much.
std::string check_table(const Kernels &table, const Kernels &plain, const CheckWeights &weights);
// Empty when every stage of both gives the same bits for every way of splitting tokens; else the
// stage that does not.
std::string check_same_bits(const Kernels &table, const Kernels &other,
                            const CheckWeights &weights);
// The definition of the tile unit, product by product in plain C++, which check_tiles compares
// with.
extern const TileKernels kDefinedTiles;
// Empty when the tile unit gives the bits of its definition.
std::string check_tiles(const TileKernels &tiles);

} // namespace ds4::ktb
