#include "kv/cache_layout.h"

#include <algorithm>

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

uint64_t CacheLayout::sequence_bytes(uint32_t tokens) const {
    uint64_t total = uint64_t(tokens) * sizeof(int32_t);
    for (const LayerShape &layer : shape.layer) {
        total += uint64_t(shape.sliding_window) * uint64_t(kv.bytes());
        if (layer.compress_ratio != 0)
            total += uint64_t(tokens) / uint64_t(layer.compress_ratio) *
                     uint64_t(kv.bytes() + (layer.has_indexer() ? index.bytes() : 0));
    }
    return total;
}

} // namespace ds4
