// The rows of recent positions, which pages do not hold: those of the sliding window, and the
// values and scores that a compressor still needs. A mark and a snapshot hold them in this order.
#pragma once
#include <cstdint>

#include "kv/cache_layout.h"

namespace ds4 {

enum class RecentRows {
    window,
    compressor_values,
    compressor_scores,
    index_compressor_values,
    index_compressor_scores,
};

// Consecutive rows of one kind, of the positions first..first+count-1.
struct RecentSection {
    RecentRows rows;
    int64_t first, count, row_bytes;
};
struct RecentSections {
    RecentSection section[5];
    int count = 0;
    const RecentSection *begin() const { return section; }
    const RecentSection *end() const { return section + count; }
};

// The sections of a layer after n tokens, in order.
RecentSections recent_sections(const CacheLayout &layout, const LayerShape &layer, int64_t n);
// Bytes of the sections of all layers after n tokens.
uint64_t recent_bytes(const CacheLayout &layout, int64_t n);

} // namespace ds4
