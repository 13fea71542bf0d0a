#include "kv/snapshot.h"

#include <algorithm>
#include <cstring>

#include "base/fail.h"
#include "ds4.h"

namespace ds4 {
namespace {

constexpr char kMagic[8] = {'D', 'S', '4', 'S', 'E', 'Q', '\0', '\1'}; // the last byte: version

struct Header {
    char magic[8];
    uint64_t bytes;    // of the whole snapshot
    uint64_t checksum; // of everything after the header
    uint64_t layout;   // fingerprint of shape and row formats
    uint32_t tokens, reserved;
};
static_assert(sizeof(Header) == 40);

// FNV-1a with a shift, eight bytes a round and the rest one by one.
uint64_t checksum(const uint8_t *bytes, uint64_t count) {
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

// Equal for two layouts only if the rows of one mean the same in the other.
uint64_t fingerprint(const CacheLayout &layout) {
    const Shape &shape = layout.shape;
    const int32_t facts[] = {shape.layers,          shape.vocab,
                             shape.sliding_window,  layout.kv.channels,
                             layout.kv.rotary,      int32_t(layout.kv.storage),
                             layout.index.channels, int32_t(layout.index.storage)};
    uint64_t hash = checksum(reinterpret_cast<const uint8_t *>(facts), sizeof facts);
    for (const LayerShape &layer : shape.layer) hash = hash * 31 + uint64_t(layer.compress_ratio);
    return hash;
}

Header header_for(const CacheLayout &layout, uint32_t n) {
    Header header{};
    std::memcpy(header.magic, kMagic, sizeof kMagic);
    header.bytes = snapshot_bytes(layout, n);
    header.layout = fingerprint(layout);
    header.tokens = n;
    return header;
}

Header checked_header(const CacheLayout &layout, uint32_t capacity,
                      std::span<const uint8_t> bytes) {
    Header header{};
    if (bytes.size() < sizeof header)
        fail(DS4_ERR_FORMAT, "a snapshot of %zu bytes is shorter than its header", bytes.size());
    std::memcpy(&header, bytes.data(), sizeof header);
    const Header expected = header_for(layout, header.tokens);
    if (std::memcmp(header.magic, expected.magic, sizeof header.magic) != 0 || header.reserved != 0)
        fail(DS4_ERR_FORMAT, "not a snapshot of this version");
    if (header.layout != expected.layout)
        fail(DS4_ERR_FORMAT,
             "the snapshot was made by another model shape or with other cache numerics");
    if (header.tokens > capacity)
        fail(DS4_ERR_CONTEXT_FULL, "the snapshot holds %u tokens; this session's context is %u",
             header.tokens, capacity);
    if (header.bytes != expected.bytes || bytes.size() != expected.bytes)
        fail(DS4_ERR_FORMAT, "a snapshot of %u tokens takes %llu bytes; %zu came", header.tokens,
             (unsigned long long)expected.bytes, bytes.size());
    if (header.checksum != checksum(bytes.data() + sizeof header, bytes.size() - sizeof header))
        fail(DS4_ERR_FORMAT, "the snapshot is damaged: its checksum does not fit");
    return header;
}

} // namespace

SnapshotSections snapshot_sections(const CacheLayout &layout, const LayerShape &layer, int64_t n) {
    const Shape &shape = layout.shape;
    SnapshotSections sections;
    const auto add = [&](CacheRows rows, int64_t first, int64_t end, int64_t row_bytes) {
        sections.section[sections.count++] = {rows, first, end - first, row_bytes};
    };
    add(CacheRows::window, std::max<int64_t>(0, n - shape.sliding_window), n, layout.kv.bytes());
    if (layer.compress_ratio == 0) return sections;
    const int64_t closed = n / layer.compress_ratio,
                  live = CacheLayout::first_compressor_position(layer, n),
                  row = CacheLayout::compressor_row_bytes(layer, shape.head_dim);
    add(CacheRows::compressed, 0, closed, layout.kv.bytes());
    add(CacheRows::compressor_values, live, n, row);
    add(CacheRows::compressor_scores, live, n, row);
    if (!layer.has_indexer()) return sections;
    const int64_t index_row = CacheLayout::compressor_row_bytes(layer, shape.index_head_dim);
    add(CacheRows::index, 0, closed, layout.index.bytes());
    add(CacheRows::index_compressor_values, live, n, index_row);
    add(CacheRows::index_compressor_scores, live, n, index_row);
    return sections;
}

uint64_t snapshot_bytes(const CacheLayout &layout, uint32_t n) {
    uint64_t total = sizeof(Header) + uint64_t(n) * sizeof(int32_t);
    for (const LayerShape &layer : layout.shape.layer)
        for (const SnapshotSection &section : snapshot_sections(layout, layer, n))
            total += uint64_t(section.count) * uint64_t(section.row_bytes);
    return total;
}

uint8_t *write_snapshot_tokens(std::span<const int32_t> tokens, uint8_t *out) {
    uint8_t *cursor = out + sizeof(Header);
    if (!tokens.empty()) std::memcpy(cursor, tokens.data(), tokens.size_bytes());
    return cursor + tokens.size_bytes();
}

void write_snapshot_header(const CacheLayout &layout, uint32_t n, uint8_t *out) {
    Header header = header_for(layout, n);
    header.checksum = checksum(out + sizeof header, header.bytes - sizeof header);
    std::memcpy(out, &header, sizeof header);
}

SnapshotContents read_snapshot(const CacheLayout &layout, uint32_t capacity,
                               std::span<const uint8_t> bytes) {
    const Header header = checked_header(layout, capacity, bytes);
    const uint8_t *cursor = bytes.data() + sizeof header;
    std::vector<int32_t> tokens(header.tokens);
    if (!tokens.empty()) std::memcpy(tokens.data(), cursor, tokens.size() * sizeof(int32_t));
    for (const int32_t token : tokens)
        if (token < 0 || token >= layout.shape.vocab)
            fail(DS4_ERR_FORMAT, "the snapshot holds token id %d; the vocabulary has %d", token,
                 layout.shape.vocab);
    cursor += tokens.size() * sizeof(int32_t);
    return {std::move(tokens), cursor};
}

} // namespace ds4
