#include "kv/recent_rows.h"

#include <algorithm>

namespace ds4 {

RecentSections recent_sections(const CacheLayout &layout, const LayerShape &layer, int64_t n) {
    const Shape &shape = layout.shape;
    RecentSections sections;
    const auto add = [&](RecentRows rows, int64_t first, int64_t row_bytes) {
        sections.section[sections.count++] = {rows, first, n - first, row_bytes};
    };
    add(RecentRows::window, std::max<int64_t>(0, n - shape.sliding_window), layout.kv.bytes());
    if (layer.compress_ratio == 0) return sections;
    const int64_t live = CacheLayout::first_compressor_position(layer, n),
                  row = CacheLayout::compressor_row_bytes(layer, shape.head_dim);
    add(RecentRows::compressor_values, live, row);
    add(RecentRows::compressor_scores, live, row);
    if (!layer.has_indexer()) return sections;
    const int64_t index_row = CacheLayout::compressor_row_bytes(layer, shape.index_head_dim);
    add(RecentRows::index_compressor_values, live, index_row);
    add(RecentRows::index_compressor_scores, live, index_row);
    return sections;
}

uint64_t recent_bytes(const CacheLayout &layout, int64_t n) {
    uint64_t total = 0;
    for (const LayerShape &layer : layout.shape.layer)
        for (const RecentSection &section : recent_sections(layout, layer, n))
            total += uint64_t(section.count) * uint64_t(section.row_bytes);
    return total;
}

} // namespace ds4
