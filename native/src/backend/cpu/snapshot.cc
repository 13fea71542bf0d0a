// Snapshots: everything that a sequence needs to go on, and nothing else.
//
//   header | tokens i32 [n] | per layer: raw rows of the last min(n, window) positions, oldest
//   first
//          |                  compressed rows [n / ratio]; compressor values, scores of its live
//          positions |                  index rows; index compressor values, scores
// A compressor's live positions are those of the unfinished window and, with overlap, of the window
// before it. All row counts follow from n, so a snapshot holds no counts that could lie.
#include <algorithm>
#include <cstring>

#include "backend/cpu/sequence.h"
#include "base/status.h"

namespace ds4::cpu {
namespace {

uint64_t checksum(const uint8_t *bytes, uint64_t count) { // FNV-1a, eight bytes a round
    uint64_t hash = 1469598103934665603ull;
    uint64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        uint64_t word;
        std::memcpy(&word, bytes + i, 8);
        hash = (hash ^ word) * 1099511628211ull;
        hash ^= hash >> 29;
    }
    for (; i < count; i++) hash = (hash ^ bytes[i]) * 1099511628211ull;
    return hash;
}

int64_t first_live(const LayerShape &layer, int64_t n) {
    const int64_t window = n / layer.compress_ratio * layer.compress_ratio;
    return std::max<int64_t>(0, window - (layer.compressor_halves() - 1) * layer.compress_ratio);
}

// Calls visit(pointer, bytes) for every stretch of the payload after the tokens, in order. Cache
// may be const or not.
template <typename Cache, typename Visit>
void visit_layer(const Shape &shape, const LayerShape &layer, Cache &cache, int64_t n,
                 const Visit &visit) {
    const auto ring = [&](auto &rows, int64_t first) {
        for (int64_t p = first; p < n; p++) visit(rows.row(p), rows.row_bytes());
    };
    const auto pages = [&](auto &rows, int64_t count) {
        for (int64_t i = 0; i < count; i++) visit(rows.row(i), rows.row_bytes());
    };
    ring(cache.raw, std::max<int64_t>(0, n - shape.window));
    if (layer.compress_ratio == 0) return;
    const int64_t closed = n / layer.compress_ratio, live = first_live(layer, n);
    pages(cache.compressed, closed);
    ring(cache.compressor->values, live);
    ring(cache.compressor->scores, live);
    if (!layer.has_indexer()) return;
    pages(cache.index, closed);
    ring(cache.index_compressor->values, live);
    ring(cache.index_compressor->scores, live);
}

} // namespace

struct Sequence::Header {
    char magic[8];     // "DS4SEQ\0" and the version
    uint64_t bytes;    // of the whole snapshot
    uint64_t checksum; // of everything after the header
    uint64_t shape;    // what must agree for the rows to mean the same
    uint32_t tokens, reserved;
};

Sequence::Header Sequence::header_for(uint32_t n) const {
    Header header{};
    std::memcpy(header.magic, "DS4SEQ\0\1", 8);
    const int32_t facts[] = {
        shape_.layers, shape_.vocab,         shape_.window,   kv_.channels,
        kv_.rotary,    int32_t(kv_.storage), index_.channels, int32_t(index_.storage)};
    header.shape = checksum(reinterpret_cast<const uint8_t *>(facts), sizeof facts);
    uint64_t total = sizeof(Header) + uint64_t(n) * 4;
    for (const LayerShape &layer : shape_.layer) {
        header.shape = header.shape * 31 + uint64_t(layer.compress_ratio);
        const uint64_t kv = uint64_t(kv_.bytes());
        total += uint64_t(std::min<int64_t>(n, shape_.window)) * kv;
        if (layer.compress_ratio == 0) continue;
        const uint64_t closed = n / uint32_t(layer.compress_ratio),
                       live = n - uint64_t(first_live(layer, n));
        total +=
            closed * kv + live * 2 * uint64_t(CompressorState::row_bytes(layer, shape_.head_dim));
        if (layer.has_indexer())
            total += closed * uint64_t(index_.bytes()) +
                     live * 2 * uint64_t(CompressorState::row_bytes(layer, shape_.index_dim));
    }
    header.bytes = total;
    header.tokens = n;
    return header;
}

uint64_t Sequence::snapshot_bytes() const { return header_for(position()).bytes; }

void Sequence::snapshot(uint8_t *out) const {
    Header header = header_for(position());
    uint8_t *cursor = out + sizeof header;
    if (!tokens_.empty()) std::memcpy(cursor, tokens_.data(), tokens_.size() * 4);
    cursor += tokens_.size() * 4;
    for (size_t l = 0; l < layers_.size(); l++)
        visit_layer(shape_, shape_.layer[l], layers_[l], position(),
                    [&](const uint8_t *row, int64_t bytes) {
                        std::memcpy(cursor, row, size_t(bytes));
                        cursor += bytes;
                    });
    DS4_ASSERT(cursor == out + header.bytes);
    header.checksum = checksum(out + sizeof header, header.bytes - sizeof header);
    std::memcpy(out, &header, sizeof header);
}

void Sequence::restore(std::span<const uint8_t> bytes) {
    Header header{};
    if (bytes.size() < sizeof header)
        fail(DS4_ERR_FORMAT, "a snapshot of %zu bytes is shorter than its header", bytes.size());
    std::memcpy(&header, bytes.data(), sizeof header);
    const Header expected = header_for(header.tokens);
    if (std::memcmp(header.magic, expected.magic, sizeof header.magic) != 0 || header.reserved != 0)
        fail(DS4_ERR_FORMAT, "not a snapshot of this version");
    if (header.shape != expected.shape)
        fail(DS4_ERR_FORMAT,
             "the snapshot was made by another model shape or with other cache numerics");
    if (header.tokens > capacity_)
        fail(DS4_ERR_CONTEXT_FULL, "the snapshot holds %u tokens; this session's context is %u",
             header.tokens, capacity_);
    if (header.bytes != expected.bytes || bytes.size() != expected.bytes)
        fail(DS4_ERR_FORMAT, "a snapshot of %u tokens takes %llu bytes; %zu came", header.tokens,
             (unsigned long long)expected.bytes, bytes.size());
    if (header.checksum != checksum(bytes.data() + sizeof header, bytes.size() - sizeof header))
        fail(DS4_ERR_FORMAT, "the snapshot is damaged: its checksum does not fit");
    const uint8_t *cursor = bytes.data() + sizeof header;
    std::vector<int32_t> tokens(header.tokens);
    if (!tokens.empty()) std::memcpy(tokens.data(), cursor, tokens.size() * 4);
    for (const int32_t token : tokens)
        if (token < 0 || token >= shape_.vocab)
            fail(DS4_ERR_FORMAT, "the snapshot holds token id %d; the vocabulary has %d", token,
                 shape_.vocab);
    cursor += tokens.size() * 4;
    // Fill fresh caches first: a failed allocation leaves the old state whole.
    Sequence fresh(shape_, kv_, index_, capacity_);
    fresh.reserve(header.tokens);
    for (size_t l = 0; l < layers_.size(); l++)
        visit_layer(shape_, shape_.layer[l], fresh.layers_[l], header.tokens,
                    [&](uint8_t *row, int64_t count) {
                        std::memcpy(row, cursor, size_t(count));
                        cursor += count;
                    });
    DS4_ASSERT(cursor == bytes.data() + bytes.size());
    layers_.swap(fresh.layers_);
    tokens_.swap(tokens);
    publish();
}

} // namespace ds4::cpu
