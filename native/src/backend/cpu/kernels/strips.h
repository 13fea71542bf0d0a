// Packed weights: strips of 16 output rows. Each is a run of tiles of 64 inputs, so that a product
// reads one forward stream. Rows past the matrix and inputs past its width are zeros.
//
// A vector of 64 bytes holds four inputs of each row of a strip. Lane r of 32 bits belongs to row
// r. A tile of Q8_0 is 1088 bytes:
//   16 vectors of codes + 128, four inputs each in input order
//   twice 16 scales f16, of inputs 0..31 and of inputs 32..63
// A row's product with int8 activations is one chain over its groups of 32 inputs, in order, on
// every instruction set:
//   sum = fma(float(exact dot) * weight scale, activation scale, sum)
//
// A tile of F8_E4M3 is 1024 bytes, 16 vectors of codes. The bytes of each 128 bits are inputs 0 and
// 1 of four rows, then inputs 2 and 3. Scales stay in the matrix. Activations are bf16, which holds
// every code times its scale. A row's product is a chain over its inputs in order:
//   AVX-512 BF16  one dot instruction after another, two inputs each
//   AMX           groups of 32 inputs: even and odd ones have f32 chains of their own from zero,
//                 which are added, and then to the sum. Denormals count as zero.
#pragma once
#include <cstdint>

#include "backend/cpu/kernels/row_kernels.h"

namespace ds4::cpu {

inline constexpr int64_t kStripRows = 16, kTileInputs = 64;
inline constexpr int64_t kQ8CodeBytes = 1024, kQ8TileBytes = 1088, kF8TileBytes = 1024;
// E8M0 scales under which every code of a strip is a normal bf16 value.
inline constexpr int kLeastStripScale = 16, kLargestStripScale = 240;

inline int64_t strip_tiles(int64_t cols) { return (cols + kTileInputs - 1) / kTileInputs; }

// Whether products of this type with low-precision activations can read strips on this machine.
bool has_strips(uint32_t type, Isa isa);
// Whether the scales of a strip allow it to be packed.
bool is_packable(const Matrix &weight, int64_t strip);
// Bytes of a matrix of `rows` x `cols`, a multiple of 64; 0 for a type without strips.
uint64_t packed_bytes(uint32_t type, int64_t rows, int64_t cols);
// Packs rows 16 * strip .. 16 * strip + 15 of the matrix as stored. `out` is the strip's place.
void pack_strip(const Matrix &weight, int64_t strip, uint8_t *out);

// The product of strips of a type that has them. Row ranges begin at multiples of 16.
RowsFunction strips_function(uint32_t type, Isa isa);

void strips_q8_0_generic(const RowsTask &task);
void strips_q8_0_avx512(const RowsTask &task);
void strips_f8_avx512bf16(const RowsTask &task);
void strips_f8_amx(const RowsTask &task);
// Rounds a row of `cols` values to bf16. Every kHalvesInputs of them go to the next place `stride`
// words on, the last ones filled up with zeros.
void round_to_halves_avx512bf16(const float *values, int64_t cols, uint16_t *out, int64_t stride);

} // namespace ds4::cpu
