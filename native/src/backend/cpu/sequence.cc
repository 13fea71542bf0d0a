#include "backend/cpu/sequence.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/fail.h"
#include "ds4.h"
#include "kv/recent_rows.h"
#include "kv/snapshot.h"

namespace ds4::cpu {
void RowRing::stage(int64_t first, int64_t count, const uint8_t *rows, int64_t stride) {
    const int64_t skipped = std::max<int64_t>(0, count - slots_);
    staged_first_ = first + skipped, staged_count_ = count - skipped;
    staged_.resize(size_t(staged_count_ * row_bytes_));
    for (int64_t i = 0; i < staged_count_; i++)
        std::memcpy(staged_.data() + i * row_bytes_, rows + (skipped + i) * stride,
                    size_t(row_bytes_));
}

void RowRing::commit(int64_t end) {
    for (int64_t i = 0; i < staged_count_ && staged_first_ + i < end; i++)
        std::memcpy(row(staged_first_ + i), staged_.data() + i * row_bytes_, size_t(row_bytes_));
    staged_count_ = 0;
    if (staged_.capacity() > size_t(row_bytes_) * 8)
        std::vector<uint8_t>().swap(staged_); // a prefill needed it; decode stages one row
}

LayerCache::LayerCache(const PageTable &pages, int layer)
    : window(pages.pool().layout.shape.sliding_window, pages.pool().layout.kv.bytes()),
      compressed(pages, pages.pool().pages.layer(layer).compressed),
      index(pages, pages.pool().pages.layer(layer).index) {
    const Shape &shape = pages.pool().layout.shape;
    const LayerShape &facts = shape.layer[size_t(layer)];
    if (facts.compress_ratio != 0)
        compressor = std::make_unique<CompressorState>(facts, shape.head_dim);
    if (facts.has_indexer())
        index_compressor = std::make_unique<CompressorState>(facts, shape.index_head_dim);
}

RowRing &LayerCache::ring(RecentRows rows) {
    switch (rows) {
    case RecentRows::window: break;
    case RecentRows::compressor_values: return compressor->values;
    case RecentRows::compressor_scores: return compressor->scores;
    case RecentRows::index_compressor_values: return index_compressor->values;
    case RecentRows::index_compressor_scores: return index_compressor->scores;
    }
    return window;
}

template <typename Visit> void Sequence::each_ring(const Visit &visit) {
    for (LayerCache &layer : layers_) {
        visit(layer.window);
        for (auto *state : {layer.compressor.get(), layer.index_compressor.get()})
            if (state != nullptr) visit(state->values), visit(state->scores);
    }
}

Sequence::Sequence(std::shared_ptr<PagePool> pool, uint32_t capacity)
    : pages_(std::move(pool)), capacity_(capacity) {
    for (int layer = 0; layer < layout().shape.layers; layer++) layers_.emplace_back(pages_, layer);
    publish(0);
}

void Sequence::publish(uint32_t position) {
    uint64_t total = pages_.pages().size() * pages_.pool().page_bytes();
    each_ring([&](const RowRing &ring) { total += ring.bytes(); });
    bytes_.store(total, std::memory_order_relaxed);
    position_.store(position, std::memory_order_release);
}

void Sequence::reset() {
    // Rows of the rings need no clearing: every reader starts from the position, so none is read
    // before it is written again.
    pages_.clear();
    publish(0);
}

void Sequence::reserve(uint32_t count) {
    const int64_t begin = position(), end = begin + count;
    pages_.pool().check_room(pages_.missing_bytes(begin, end), end);
    pages_.make_writable(begin, end);
}

void Sequence::commit(const int32_t *tokens, uint32_t kept) {
    const int64_t begin = int64_t(position()), end = begin + kept;
    each_ring([&](const RowRing &ring) {
        if (!ring.can_commit(begin, end))
            fail(DS4_ERR_ARGUMENT,
                 "%u tokens of a step cannot be kept: all can, none can, and some of a step of at "
                 "most %u tokens",
                 kept, max_partial_step());
    });
    each_ring([&](RowRing &ring) { ring.commit(end); });
    // Compressed entries of dropped tokens lie past the count and are written again.
    pages_.write_tokens(begin, tokens, kept);
    publish(uint32_t(end));
}

uint64_t Sequence::snapshot_bytes() const { return ds4::snapshot_bytes(pages_.pool(), position()); }

// Calls visit(row, bytes) for the recent rows of a sequence of `position` tokens, in order.
template <typename Visit> void Sequence::each_recent_row(uint32_t position, const Visit &visit) {
    for (size_t l = 0; l < layers_.size(); l++)
        for (const RecentSection &section :
             recent_sections(layout(), layout().shape.layer[l], position)) {
            RowRing &ring = layers_[l].ring(section.rows);
            for (int64_t i = 0; i < section.count; i++)
                visit(ring.row(section.first + i), size_t(section.row_bytes));
        }
}

std::shared_ptr<const Mark> Sequence::mark() {
    PagePool &pool = pages_.pool();
    const uint32_t n = position();
    const uint64_t bytes = recent_bytes(layout(), n);
    pool.check_room(bytes, n);
    CacheBlock recent(pool.shared_from_this(), bytes);
    uint8_t *cursor = recent.data();
    each_recent_row(n, [&](const uint8_t *row, size_t row_bytes) {
        std::memcpy(cursor, row, row_bytes);
        cursor += row_bytes;
    });
    DS4_ASSERT(cursor == recent.data() + bytes);
    return std::make_shared<Mark>(pool.shared_from_this(), n, pages_.share(n), std::move(recent));
}

void Sequence::resume(const Mark &mark) {
    if (&mark.pool() != &pages_.pool())
        fail(DS4_ERR_ARGUMENT, "the mark belongs to another engine; open the session in its own");
    if (mark.position() > capacity_)
        fail(DS4_ERR_CONTEXT_FULL, "the mark is at position %u; the session's context is %u",
             mark.position(), capacity_);
    pages_.assume(mark.pages()); // nothing below fails
    const uint8_t *cursor = mark.recent();
    each_recent_row(mark.position(), [&](uint8_t *row, size_t row_bytes) {
        std::memcpy(row, cursor, row_bytes);
        cursor += row_bytes;
    });
    publish(mark.position());
}

void Sequence::cut(const Mark &mark) {
    if (!mark.begins(pages_, position()))
        fail(DS4_ERR_ARGUMENT,
             "the session, at position %u, has not passed the mark at position %u; open a session "
             "from the mark",
             position(), mark.position());
    resume(mark);
}

} // namespace ds4::cpu
