// A cache with a layer of each kind and rows of the sizes that DeepSeek V4 has. Test code.
#pragma once
#include "kv/cache_layout.h"
#include "model/shape.h"

namespace ds4::test {

inline Shape cache_shape() {
    Shape shape{};
    shape.layers = 3, shape.vocab = 100, shape.sliding_window = 8, shape.head_dim = 512;
    shape.rope_dim = 64, shape.index_head_dim = 128;
    shape.layer = {{0, 0, 0, false}, {4, 0, 0, false}, {128, 0, 0, false}};
    return shape;
}

// The shape outlives the layout.
inline CacheLayout packed_layout(const Shape &shape) {
    return {shape, {512, 64, RowStorage::packed}, {128, RowStorage::packed}};
}

} // namespace ds4::test
