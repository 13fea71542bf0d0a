#include "kv/cache_layout.h"

#include <algorithm>

#include "kv/page_pool.h"

namespace ds4 {

int64_t CacheLayout::first_compressor_position(const LayerShape &layer, int64_t n) {
    const int64_t window = n / layer.compress_ratio * layer.compress_ratio;
    return std::max<int64_t>(0, window - (layer.compressor_halves() - 1) * layer.compress_ratio);
}

uint32_t CacheLayout::max_partial_step() const {
    int64_t shortest = shape.sliding_window;
    for (const LayerShape &layer : shape.layer)
        if (layer.compress_ratio != 0) shortest = std::min(shortest, compressor_slots(layer));
    return uint32_t(shortest);
}

uint64_t CacheLayout::ring_bytes() const {
    int64_t total = 0;
    for (const LayerShape &layer : shape.layer) {
        total += int64_t(shape.sliding_window) * kv.bytes();
        if (layer.compress_ratio == 0) continue;
        const int64_t slots = 2 * compressor_slots(layer); // of values and of scores
        total += slots * compressor_row_bytes(layer, shape.head_dim);
        if (layer.has_indexer()) total += slots * compressor_row_bytes(layer, shape.index_head_dim);
    }
    return uint64_t(total);
}

uint64_t CacheLayout::sequence_bytes(uint32_t tokens) const {
    return ring_bytes() +
           uint64_t(PageLayout::pages(tokens)) * PagePool::page_bytes(PageLayout(*this));
}

} // namespace ds4
