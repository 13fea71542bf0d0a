// What a model of a given shape must hold: one row per role.
#pragma once
#include <cstdint>

#include "model/shape.h"

namespace ds4 {

enum class TensorScope { model, layer, expert };
enum class TensorUse { matrix, vector, table };

struct ExpectedTensor {
    const char *name; // the GGUF name without its layer, for messages
    TensorScope scope;
    TensorUse use;
    int64_t rows, cols;
    bool present; // in this layer
};
// layer is -1 for TensorScope::model. kind must be below DS4_TENSOR_KIND_COUNT.
ExpectedTensor expected_tensor(const Shape &shape, int kind, int layer);

// May a tensor of this use have this storage type?
bool type_allowed(TensorUse use, TensorScope scope, uint32_t type);

} // namespace ds4
