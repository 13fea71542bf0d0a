// Whether a kernel table computes what it should on this CPU: on packed weights, against the plain
// kernels.
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

// "" when the table agrees with `plain`, else in which stage it does not and by how much.
std::string check_table(const Kernels &table, const Kernels &plain, const CheckWeights &weights);
// "" when every stage of both gives the same bits for every way of splitting tokens, else the stage
// that does not.
std::string check_same_bits(const Kernels &table, const Kernels &other,
                            const CheckWeights &weights);
// The tile unit by its definition, product by product in plain C++: what check_tiles compares with.
extern const TileKernels kDefinedTiles;
// "" when the tile unit gives the bits of its definition.
std::string check_tiles(const TileKernels &tiles);

} // namespace ds4::ktb
