#include "backend/cuda/recent_layout.h"

namespace ds4::cuda {
namespace {

kernels::PagedLayout paged(const PageRows &rows) {
    return {rows.offset, int32_t(rows.row_bytes), rows.shift};
}

} // namespace

RecentLayout::RecentLayout(const PagePool &pool) {
    const CacheLayout &layout = pool.layout;
    const Shape &shape = layout.shape;
    const auto ring = [&](int64_t slots, int64_t row_bytes) {
        const kernels::RingLayout made{bytes, int32_t(slots), int32_t(row_bytes)};
        bytes += (slots * row_bytes + 63) / 64 * 64;
        rings.push_back(made);
        return made;
    };
    for (int l = 0; l < shape.layers; l++) {
        const LayerShape &facts = shape.layer[size_t(l)];
        kernels::LayerCacheLayout made;
        made.compress_ratio = facts.compress_ratio;
        made.window = ring(shape.sliding_window, layout.kv.bytes());
        if (facts.compress_ratio != 0) {
            const int64_t slots = CacheLayout::compressor_slots(facts),
                          row = CacheLayout::compressor_row_bytes(facts, shape.head_dim);
            made.compressor_values = ring(slots, row), made.compressor_scores = ring(slots, row);
            made.compressed = paged(pool.pages.layer(l).compressed);
        }
        if (facts.has_indexer()) {
            const int64_t slots = CacheLayout::compressor_slots(facts),
                          row = CacheLayout::compressor_row_bytes(facts, shape.index_head_dim);
            made.index_compressor_values = ring(slots, row);
            made.index_compressor_scores = ring(slots, row);
            made.index = paged(pool.pages.layer(l).index);
        }
        layers.push_back(made);
    }
}

const kernels::RingLayout &RecentLayout::ring(int layer, RecentRows rows) const {
    const kernels::LayerCacheLayout &of = layers[size_t(layer)];
    switch (rows) {
    case RecentRows::window: break;
    case RecentRows::compressor_values: return of.compressor_values;
    case RecentRows::compressor_scores: return of.compressor_scores;
    case RecentRows::index_compressor_values: return of.index_compressor_values;
    case RecentRows::index_compressor_scores: return of.index_compressor_scores;
    }
    return of.window;
}

} // namespace ds4::cuda
