// The layout of a page: what 2,048 consecutive tokens of one sequence add to the cache for good.
// That is the compressed entries and the index rows of all layers. A page is one block of memory on
// the device of its backend, and every row lies at an offset that this header computes.
//
//    page: | layer 0: compressed | layer 0: index | layer 1: compressed | ... |
//
// A layer of compression ratio r has 2,048 / r entries in a page, and as many index rows if it has
// an indexer. Each of these parts begins at a multiple of 64 bytes. No entry crosses a page.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kv/cache_layout.h"

namespace ds4 {

// Consecutive rows of one kind in every page. row_bytes is 0 where a layer has no such rows.
struct PageRows {
    int64_t offset = 0, row_bytes = 0;
    int shift = 0; // log2 of the rows in a page

    int64_t rows() const { return row_bytes == 0 ? 0 : int64_t(1) << shift; }
    // Rows that the first `tokens` tokens of a page have.
    int64_t filled(int64_t tokens) const { return tokens >> (kTokensShift - shift); }
    static constexpr int kTokensShift = 11;
};

class PageLayout {
  public:
    static constexpr int64_t kTokens = int64_t(1) << PageRows::kTokensShift;
    struct Layer {
        PageRows compressed, index;
    };

    explicit PageLayout(const CacheLayout &layout);

    const Layer &layer(int index) const { return layers_[size_t(index)]; }
    const std::vector<Layer> &layers() const { return layers_; }
    int64_t bytes() const { return bytes_; }
    // Pages that `tokens` tokens take.
    static int64_t pages(int64_t tokens) { return (tokens + kTokens - 1) / kTokens; }

    // Calls visit(offset, bytes) for the parts of a page that its first `tokens` tokens fill, in
    // the order of their offsets.
    template <typename Visit> void each_filled(int64_t tokens, const Visit &visit) const {
        for (const Layer &layer : layers_)
            for (const PageRows *rows : {&layer.compressed, &layer.index})
                if (rows->row_bytes != 0 && rows->filled(tokens) > 0)
                    visit(rows->offset, rows->filled(tokens) * rows->row_bytes);
    }

  private:
    std::vector<Layer> layers_;
    int64_t bytes_ = 0;
};

} // namespace ds4
