#include "backend/cpu/sequence.h"

#include <algorithm>
#include <cstring>

#include "base/status.h"

namespace ds4::cpu {

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

void RowRing::commit() {
    for (int64_t i = 0; i < staged_count_; i++)
        std::memcpy(row(staged_first_ + i), staged_.data() + i * row_bytes_, size_t(row_bytes_));
    staged_count_ = 0;
    if (staged_.capacity() > size_t(row_bytes_) * 8)
        std::vector<uint8_t>().swap(staged_); // a prefill's; decode needs one row
}

LayerCache::LayerCache(const Shape &shape, const LayerShape &layer, const KvRowFormat &kv,
                       const IndexRowFormat &index_format)
    : raw(shape.window, kv.bytes()), compressed(kv.bytes()), index(index_format.bytes()) {
    if (layer.compress_ratio != 0)
        compressor = std::make_unique<CompressorState>(layer, shape.head_dim);
    if (layer.has_indexer())
        index_compressor = std::make_unique<CompressorState>(layer, shape.index_dim);
}

Sequence::Sequence(const Shape &shape, const KvRowFormat &kv, const IndexRowFormat &index,
                   uint32_t capacity)
    : shape_(shape), kv_(kv), index_(index), capacity_(capacity) {
    for (const LayerShape &layer : shape.layer) layers_.emplace_back(shape, layer, kv, index);
    publish();
}

uint64_t Sequence::full_bytes(const Shape &shape, const KvRowFormat &kv,
                              const IndexRowFormat &index, uint32_t tokens) {
    uint64_t total = uint64_t(tokens) * sizeof(int32_t);
    for (const LayerShape &layer : shape.layer) {
        total += uint64_t(shape.window) * uint64_t(kv.bytes());
        if (layer.compress_ratio != 0)
            total += uint64_t(tokens) / uint64_t(layer.compress_ratio) *
                     uint64_t(kv.bytes() + (layer.has_indexer() ? index.bytes() : 0));
    }
    return total;
}

void Sequence::publish() {
    uint64_t total = tokens_.capacity() * sizeof(int32_t);
    for (const LayerCache &layer : layers_) {
        total += layer.raw.bytes() + layer.compressed.bytes() + layer.index.bytes();
        for (const auto *state : {layer.compressor.get(), layer.index_compressor.get()})
            if (state != nullptr) total += state->values.bytes() + state->scores.bytes();
    }
    bytes_.store(total, std::memory_order_relaxed);
    position_.store(uint32_t(tokens_.size()), std::memory_order_release);
}

void Sequence::reset() {
    tokens_.clear();
    // Rows of the rings are never read before they are written again: every reader starts from the
    // position.
    for (LayerCache &layer : layers_) layer.compressed.clear(), layer.index.clear();
    publish();
}

void Sequence::reserve(uint32_t count) {
    const int64_t end = int64_t(position()) + count;
    if (size_t(end) > tokens_.capacity())
        tokens_.reserve(
            std::max(size_t(end), tokens_.capacity() * 2)); // in proportion, not once a token
    for (int l = 0; l < shape_.layers; l++) {
        const LayerShape &layer = shape_.layer[size_t(l)];
        if (layer.compress_ratio == 0) continue;
        layers_[size_t(l)].compressed.reserve(end / layer.compress_ratio);
        if (layer.has_indexer()) layers_[size_t(l)].index.reserve(end / layer.compress_ratio);
    }
}

void Sequence::commit(const int32_t *tokens, uint32_t count) {
    for (LayerCache &layer : layers_) {
        layer.raw.commit();
        for (auto *state : {layer.compressor.get(), layer.index_compressor.get()})
            if (state != nullptr) state->values.commit(), state->scores.commit();
    }
    tokens_.insert(tokens_.end(), tokens, tokens + count);
    publish();
}

} // namespace ds4::cpu
