// The layout of one sequence's cache: which rows each layer keeps, how many and how large. Every
// backend follows it, wherever its rows lie.
#pragma once
#include <cstdint>

#include "kv/row_formats.h"
#include "model/shape.h"

namespace ds4 {

struct CacheLayout {
    Shape shape;
    KvRowFormat kv;       // window rows and compressed entries
    IndexRowFormat index; // index rows, in layers with an indexer

    // Positions whose values and scores a compressor keeps: those of the unfinished window and,
    // with overlap, those of the window before it.
    static int64_t compressor_slots(const LayerShape &layer) {
        return layer.compressor_halves() * layer.compress_ratio;
    }
    // One position of compressor values or scores: f32 [halves * dim].
    static int64_t compressor_row_bytes(const LayerShape &layer, int dim) {
        return int64_t(layer.compressor_halves()) * dim * 4;
    }
    // The longest step of which a part may be kept. A longer one overwrites, in the shortest ring
    // of rows, what the tokens before the dropped ones need.
    uint32_t max_partial_step() const;
    // The first position whose compressor rows are still needed after n tokens.
    static int64_t first_compressor_position(const LayerShape &layer, int64_t n);

    // Bytes of the rings of one sequence: window rows and compressor rows of all layers.
    uint64_t ring_bytes() const;
    // Bytes of a sequence of `tokens` tokens: its rings and whole pages (kv/page_layout.h).
    uint64_t sequence_bytes(uint32_t tokens) const;
};

} // namespace ds4
