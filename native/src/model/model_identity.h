// One number for the shape and the weights of a model. It tells models apart, also of one shape,
// without reading their weights: it samples them.
#pragma once
#include <cstdint>

#include "model/model.h"

namespace ds4 {

// The hash of every field of the shape and, for each tensor, of its role, type, dimensions and
// samples. A tensor of up to 4 KiB is read whole; of a larger one, 64 bytes at its begin, thirds
// and end. Experts are sampled in four of each layer. The same weights give the same number from
// one file or many, stacked or not. Costs a page of disk for each sample, if it is not in memory.
uint64_t model_identity(const Model &model);

} // namespace ds4
