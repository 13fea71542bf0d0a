// The byte format of a session snapshot (docs/formats/snapshot.md): header, token ids, then the
// cache rows of every layer. All row counts follow from the number of tokens, so a snapshot holds
// no count that could disagree with its rows.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "kv/cache_layout.h"

namespace ds4 {

// Kinds of cache rows, in the order in which a layer writes them.
enum class CacheRows {
    window,
    compressed,
    compressor_values,
    compressor_scores,
    index,
    index_compressor_values,
    index_compressor_scores,
};

// Consecutive rows of one kind. first is a position, or an entry's index for compressed and index
// rows.
struct SnapshotSection {
    CacheRows rows;
    int64_t first, count, row_bytes;
};
struct SnapshotSections {
    SnapshotSection section[7];
    int count = 0;
    const SnapshotSection *begin() const { return section; }
    const SnapshotSection *end() const { return section + count; }
};
// The sections of a layer after n tokens, in order.
SnapshotSections snapshot_sections(const CacheLayout &layout, const LayerShape &layer, int64_t n);

// Bytes of a snapshot of n tokens.
uint64_t snapshot_bytes(const CacheLayout &layout, uint32_t n);

// Writes the token ids and returns where the rows of the first layer begin. out has
// snapshot_bytes() bytes.
uint8_t *write_snapshot_tokens(std::span<const int32_t> tokens, uint8_t *out);
// Writes the header with its checksum, after everything else is in its place.
void write_snapshot_header(const CacheLayout &layout, uint32_t n, uint8_t *out);

struct SnapshotContents {
    std::vector<int32_t> tokens;
    const uint8_t *rows; // of the first layer, within the given bytes
};
// Checks everything but the rows' values and reads the token ids. Throws Error: DS4_ERR_FORMAT for
// bytes that are no snapshot of this layout, DS4_ERR_CONTEXT_FULL for more than `capacity` tokens.
SnapshotContents read_snapshot(const CacheLayout &layout, uint32_t capacity,
                               std::span<const uint8_t> bytes);

} // namespace ds4
