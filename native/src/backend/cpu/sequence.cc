#include "backend/cpu/sequence.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/fail.h"
#include "ds4.h"
#include "kv/snapshot.h"
#include "machine/memory.h"

namespace ds4::cpu {
namespace {

constexpr uint64_t kSpareBytes = 4u << 20; // left to the rest of the process

} // namespace

uint64_t RowPages::missing_bytes(int64_t count) const {
    const int64_t pages = (count + kPageRows - 1) / kPageRows - int64_t(pages_.size());
    return pages <= 0 ? 0 : uint64_t(pages * kPageRows * row_bytes_);
}

void RowPages::reserve(int64_t count) {
    while (int64_t(pages_.size()) * kPageRows < count)
        pages_.push_back(std::make_unique_for_overwrite<uint8_t[]>(size_t(kPageRows * row_bytes_)));
}

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

LayerCache::LayerCache(const CacheLayout &layout, const LayerShape &layer)
    : window(layout.shape.sliding_window, layout.kv.bytes()), compressed(layout.kv.bytes()),
      index(layout.index.bytes()) {
    if (layer.compress_ratio != 0)
        compressor = std::make_unique<CompressorState>(layer, layout.shape.head_dim);
    if (layer.has_indexer())
        index_compressor = std::make_unique<CompressorState>(layer, layout.shape.index_head_dim);
}

uint8_t *LayerCache::row(CacheRows rows, int64_t i) {
    switch (rows) {
    case CacheRows::window: return window.row(i);
    case CacheRows::compressed: return compressed.row(i);
    case CacheRows::compressor_values: return compressor->values.row(i);
    case CacheRows::compressor_scores: return compressor->scores.row(i);
    case CacheRows::index: return index.row(i);
    case CacheRows::index_compressor_values: return index_compressor->values.row(i);
    case CacheRows::index_compressor_scores: return index_compressor->scores.row(i);
    }
    return nullptr;
}

Sequence::Sequence(const CacheLayout &layout, uint32_t capacity)
    : layout_(layout), capacity_(capacity) {
    for (const LayerShape &layer : layout_.shape.layer) layers_.emplace_back(layout_, layer);
    publish();
}

void Sequence::publish() {
    uint64_t total = tokens_.capacity() * sizeof(int32_t);
    for (const LayerCache &layer : layers_) {
        total += layer.window.bytes() + layer.compressed.bytes() + layer.index.bytes();
        for (const auto *state : {layer.compressor.get(), layer.index_compressor.get()})
            if (state != nullptr) total += state->values.bytes() + state->scores.bytes();
    }
    bytes_.store(total, std::memory_order_relaxed);
    position_.store(uint32_t(tokens_.size()), std::memory_order_release);
}

void Sequence::reset() {
    tokens_.clear();
    // Rows of the rings need no clearing: every reader starts from the position, so none is read
    // before it is written again.
    for (LayerCache &layer : layers_) layer.compressed.clear(), layer.index.clear();
    publish();
}

uint64_t Sequence::available_memory() { return machine::available_memory(); }

void Sequence::reserve(uint32_t count, const std::function<uint64_t()> &available) {
    const int64_t end = int64_t(position()) + count;
    uint64_t missing = 0;
    for (size_t l = 0; l < layers_.size(); l++)
        for (const auto &[pages, rows] : growing(l, end)) missing += pages->missing_bytes(rows);
    if (missing > 0) {
        const uint64_t left = available();
        if (missing + kSpareBytes > left)
            fail(DS4_ERR_DEVICE_MEMORY,
                 "the cache of a sequence of %lld tokens needs %llu MiB more; %llu MiB of memory "
                 "are available",
                 (long long)end, (unsigned long long)(missing >> 20) + 1,
                 (unsigned long long)(left >> 20));
    }
    if (size_t(end) > tokens_.capacity())
        tokens_.reserve(
            std::max(size_t(end), tokens_.capacity() * 2)); // doubles: no copy at every token
    for (size_t l = 0; l < layers_.size(); l++)
        for (const auto &[pages, rows] : growing(l, end)) pages->reserve(rows);
}

// The rows of a layer that grow with the sequence, and how many of them `tokens` tokens have.
std::vector<std::pair<RowPages *, int64_t>> Sequence::growing(size_t layer, int64_t tokens) {
    const LayerShape &shape = layout_.shape.layer[layer];
    if (shape.compress_ratio == 0) return {};
    const int64_t rows = tokens / shape.compress_ratio;
    if (!shape.has_indexer()) return {{&layers_[layer].compressed, rows}};
    return {{&layers_[layer].compressed, rows}, {&layers_[layer].index, rows}};
}

template <typename Visit> void Sequence::each_ring(const Visit &visit) {
    for (LayerCache &layer : layers_) {
        visit(layer.window);
        for (auto *state : {layer.compressor.get(), layer.index_compressor.get()})
            if (state != nullptr) visit(state->values), visit(state->scores);
    }
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
    tokens_.insert(tokens_.end(), tokens, tokens + kept);
    publish();
}

uint64_t Sequence::snapshot_bytes() const { return ds4::snapshot_bytes(layout_, position()); }

void Sequence::snapshot(uint8_t *out) const {
    const uint32_t n = position();
    uint8_t *cursor = write_snapshot_tokens(tokens_, out);
    for (size_t l = 0; l < layers_.size(); l++)
        for (const SnapshotSection &section : snapshot_sections(layout_, layout_.shape.layer[l], n))
            for (int64_t i = 0; i < section.count; i++, cursor += section.row_bytes)
                std::memcpy(cursor, layers_[l].row(section.rows, section.first + i),
                            size_t(section.row_bytes));
    DS4_ASSERT(cursor == out + snapshot_bytes());
    write_snapshot_header(layout_, n, out);
}

void Sequence::restore(std::span<const uint8_t> bytes) {
    SnapshotContents contents = read_snapshot(layout_, capacity_, bytes);
    const uint32_t n = uint32_t(contents.tokens.size());
    const uint8_t *cursor = contents.rows;
    // Fills new caches first: a failed allocation leaves the old state whole.
    Sequence restored(layout_, capacity_);
    restored.reserve(n);
    for (size_t l = 0; l < layers_.size(); l++)
        for (const SnapshotSection &section : snapshot_sections(layout_, layout_.shape.layer[l], n))
            for (int64_t i = 0; i < section.count; i++, cursor += section.row_bytes)
                std::memcpy(restored.layers_[l].row(section.rows, section.first + i), cursor,
                            size_t(section.row_bytes));
    DS4_ASSERT(cursor == bytes.data() + bytes.size());
    layers_.swap(restored.layers_);
    tokens_.swap(contents.tokens);
    publish();
}

} // namespace ds4::cpu
