// The tensors that a model of a given shape must hold: one row per role.
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
// layer is -1 for TensorScope::model. Throws Error(DS4_ERR_ARGUMENT) for a kind that is not
// DS4_TENSOR_*.
ExpectedTensor expected_tensor(const Shape &shape, int kind, int layer);

// Whether a tensor of this use may have this storage type.
bool type_allowed(TensorUse use, TensorScope scope, uint32_t type);

} // namespace ds4
