// The facts that all parts of a step share: shape, weights, arithmetic.
#pragma once
#include "backend/cuda/recent_layout.h"
#include "backend/cuda/weights.h"
#include "kv/cache_layout.h"
#include "model/shape.h"

namespace ds4::cuda {

struct Context {
    const Shape &shape;
    const Weights *weights; // null: sizes alone are asked for
    const CacheLayout &cache;
    const RecentLayout &recent;
    const kernels::RingLayout *rings; // device, recent.rings
    int ordinal;                      // of the GPU
    bool rounds_activations;          // `fast`
    bool clamps_shared;

    kernels::RowFormat kv_format() const {
        return {shape.head_dim, shape.rope_dim, cache.kv.storage == RowStorage::packed,
                int32_t(cache.kv.bytes())};
    }
    kernels::RowFormat index_format() const {
        return {shape.index_head_dim, 0, cache.index.storage == RowStorage::packed,
                int32_t(cache.index.bytes())};
    }
    const float *frequencies(const LayerShape &layer) const {
        return layer.compress_ratio == 0 ? weights->window_frequencies
                                         : weights->compressed_frequencies;
    }
};

} // namespace ds4::cuda
