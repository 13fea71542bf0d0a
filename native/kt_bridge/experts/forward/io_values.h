// Values of the caller's input and output arrays, f32 or bf16 (KTB_IO_*). Alignment of 2 or 4 bytes
// is not required.
#pragma once
#include <cstddef>

namespace ds4::ktb {

size_t element_bytes(int io_type);
// Reads `count` values from element `at` of an array of io_type.
void load_values(const void *source, int io_type, size_t at, int count, float *out);
// Writes `count` values from element `at` of an array of io_type on; bf16 rounds to nearest even.
void store_values(const float *values, int count, void *target, int io_type, size_t at);

} // namespace ds4::ktb
