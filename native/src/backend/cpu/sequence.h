// The cache of one sequence in host memory. A step reads it and stages the rows of the new tokens;
// commit() makes the rows of the tokens that are kept current. Until then nothing that the old
// position needs is overwritten, so a step can be dropped, whole or in part.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "kv/page_table.h"
#include "kv/recent_rows.h"
#include "kv/mark.h"
#include "model/shape.h"

namespace ds4::cpu {

// Rows of the last `slots` positions; position p lies in slot p mod slots. New rows are staged and
// become current at commit.
class RowRing {
  public:
    RowRing(int64_t slots, int64_t row_bytes)
        : slots_(slots), row_bytes_(row_bytes), rows_(size_t(slots * row_bytes)) {}
    int64_t slots() const { return slots_; }
    const uint8_t *row(int64_t position) const {
        return rows_.data() + position % slots_ * row_bytes_;
    }
    uint8_t *row(int64_t position) { return rows_.data() + position % slots_ * row_bytes_; }
    // rows: those of positions first..first+count-1, `stride` bytes apart. Keeps the last `slots`
    // of them.
    void stage(int64_t first, int64_t count, const uint8_t *rows, int64_t stride);
    // Can rows before `end` become current, given that the sequence stands at `position`?
    bool can_commit(int64_t position, int64_t end) const {
        return staged_count_ == 0 || end == position || end == staged_first_ + staged_count_ ||
               (end < staged_first_ + staged_count_ && staged_first_ == position);
    }
    // Makes the staged rows of positions before `end` current and drops the others.
    void commit(int64_t end);
    int64_t row_bytes() const { return row_bytes_; }
    uint64_t bytes() const { return rows_.size() + staged_.capacity(); }

  private:
    int64_t slots_, row_bytes_;
    std::vector<uint8_t> rows_, staged_;
    int64_t staged_first_ = 0, staged_count_ = 0;
};

// Values and gate scores of the tokens that a compressor still needs, f32 [halves * dim] a row. The
// scores include the position bias.
struct CompressorState {
    RowRing values, scores;
    CompressorState(const LayerShape &layer, int dim)
        : values(CacheLayout::compressor_slots(layer),
                 CacheLayout::compressor_row_bytes(layer, dim)),
          scores(values) {}
};

struct LayerCache {
    RowRing window;              // rows of the sliding window
    PagedRows compressed, index; // of no rows where the layer has none
    std::unique_ptr<CompressorState> compressor, index_compressor;
    LayerCache(const PageTable &pages, int layer);
    RowRing &ring(RecentRows rows);
};

class Sequence : public SequenceState {
  public:
    Sequence(std::shared_ptr<PagePool> pool, uint32_t capacity);

    uint32_t position() const override { return position_.load(std::memory_order_acquire); }
    uint32_t capacity() const override { return capacity_; }
    uint64_t bytes() const override { return bytes_.load(std::memory_order_relaxed); }
    void reset() override;
    uint64_t snapshot_bytes() const override;
    std::shared_ptr<const Mark> mark() override;
    void resume(const Mark &mark) override;
    void cut(const Mark &mark) override;
    uint32_t max_partial_step() const override { return layout().max_partial_step(); }

    LayerCache &layer(int index) { return layers_[size_t(index)]; }
    // Makes rows writable up to the position after `count` more tokens. Throws before anything has
    // changed: Error(DS4_ERR_DEVICE_MEMORY) for pages that do not fit in the memory that is left.
    void reserve(uint32_t count);
    // Makes the first `kept` tokens of the step that was staged current and drops the rest. kept is
    // all of them, none, or any number if the step had at most max_partial_step() tokens. Throws
    // Error(DS4_ERR_ARGUMENT) for another number, before anything has changed.
    void commit(const int32_t *tokens, uint32_t kept);

  private:
    const CacheLayout &layout() const { return pages_.pool().layout; }
    template <typename Visit> void each_ring(const Visit &visit);
    template <typename Visit> void each_recent_row(uint32_t position, const Visit &visit);
    void publish(uint32_t position); // and the bytes, after a change

    PageTable pages_;
    uint32_t capacity_;
    std::vector<LayerCache> layers_;
    std::atomic<uint32_t> position_{0};
    std::atomic<uint64_t> bytes_{0};
};

} // namespace ds4::cpu
