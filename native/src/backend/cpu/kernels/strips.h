// Packed weights: strips of 16 output rows. Each is a run of tiles of 64 inputs, so that a product
// reads one forward stream. Rows past the matrix and inputs past its width are zeros.
//
// A vector of 64 bytes holds four inputs of each row of a strip. Lane r of 32 bits belongs to row
// r. A tile of Q8_0 is 1088 bytes:
//   16 vectors of codes + 128, four inputs each in input order
//   twice 16 scales f16, of inputs 0..31 and of inputs 32..63
//
// A row's product is one chain over its groups of 32 inputs, in order, on every instruction set:
//   sum = fma(float(exact dot) * weight scale, activation scale, sum)
#pragma once
#include <cstdint>

#include "backend/cpu/kernels/row_kernels.h"

namespace ds4::cpu {

inline constexpr int64_t kStripRows = 16, kTileInputs = 64;
inline constexpr int64_t kQ8CodeBytes = 1024, kQ8TileBytes = 1088;

inline int64_t strip_tiles(int64_t cols) { return (cols + kTileInputs - 1) / kTileInputs; }

// Whether products of this type with int8 activations can read strips on this instruction set.
bool has_strips(uint32_t type, Isa isa);
// Bytes of a matrix of `rows` x `cols`, a multiple of 64; 0 for a type without strips.
uint64_t packed_bytes(uint32_t type, int64_t rows, int64_t cols);
// Packs rows 16 * strip .. 16 * strip + 15 of the matrix as stored. `out` is the strip's place.
void pack_strip(const Matrix &weight, int64_t strip, uint8_t *out);

// The product of strips of a type that has them. Row ranges begin at multiples of 16.
RowsFunction strips_function(uint32_t type, Isa isa);

void strips_q8_0_generic(const RowsTask &task);
void strips_q8_0_avx512(const RowsTask &task);

} // namespace ds4::cpu
