#include "kv/page_layout.h"

#include <bit>

#include "base/assert.h"

namespace ds4 {
namespace {

constexpr int64_t kAlignment = 64;

} // namespace

PageLayout::PageLayout(const CacheLayout &layout) {
    const auto place = [&](int64_t row_bytes, int ratio) {
        const int64_t rows = kTokens / ratio;
        DS4_ASSERT(std::has_single_bit(uint64_t(rows)) && rows * ratio == kTokens);
        const PageRows out{bytes_, row_bytes, std::countr_zero(uint64_t(rows))};
        bytes_ += (rows * row_bytes + kAlignment - 1) / kAlignment * kAlignment;
        return out;
    };
    for (const LayerShape &facts : layout.shape.layer) {
        Layer layer;
        if (facts.compress_ratio != 0)
            layer.compressed = place(layout.kv.bytes(), facts.compress_ratio);
        if (facts.has_indexer()) layer.index = place(layout.index.bytes(), facts.compress_ratio);
        layers_.push_back(layer);
    }
}

} // namespace ds4
