// The values of small tensors, read from the mapped file into host memory.
#pragma once
#include <cstdint>
#include <vector>

#include "model/model.h"

namespace ds4 {

// Decoded to f32, [rows * cols].
std::vector<float> floats_of(const TensorView &view);
// A table of I32 or I64 ids, [rows * cols], which the model has checked.
std::vector<int32_t> ids_of(const TensorView &view);

} // namespace ds4
