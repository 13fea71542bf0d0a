// The rows of a step and the sequences that they belong to, as kernels see them. All pointers are
// addresses of the device.
#pragma once
#include <cstdint>

namespace ds4::kernels {

// One sequence of a step.
struct SequenceEntry {
    int32_t position;      // tokens before the step
    int32_t first_row;     // its rows of the step lie together
    int32_t count;         // its rows, >= 1
    int32_t page_count;    // pages that are there; positions up to the end of the step lie in them
    uint8_t *const *pages; // [page_count]
    const uint8_t *recent; // its rings of current rows (RingLayout)
    uint8_t *staged;       // rings of the step's rows, which are not current yet; same layout
};

struct StepTable {
    int32_t rows = 0;                         // of the step
    int32_t sequence_count = 0;               //
    const int32_t *tokens = nullptr;          // [rows]
    const int32_t *row_sequence = nullptr;    // [rows]
    const int32_t *row_position = nullptr;    // [rows]
    const SequenceEntry *sequences = nullptr; // [sequence_count]
};

// A ring in the recent memory of a sequence: position p lies in slot p mod slots.
struct RingLayout {
    int64_t offset = 0; // bytes from the beginning of the memory, a multiple of 64
    int32_t slots = 0;  // 0: the layer has no such ring
    int32_t row_bytes = 0;
};

// Rows of one kind of one layer in the pages of a sequence: row i lies in page i >> shift at offset
// + (i mod 2^shift) row_bytes (kv/page_layout.h).
struct PagedLayout {
    int64_t offset = 0;
    int32_t row_bytes = 0; // 0: the layer has no such rows
    int32_t shift = 0;
};

// The places of one layer's cache.
struct LayerCacheLayout {
    int32_t compress_ratio = 0; // 0, 4 or 128
    RingLayout window;
    RingLayout compressor_values, compressor_scores;             // f32 [halves * head_dim] a row
    RingLayout index_compressor_values, index_compressor_scores; // f32 [halves * index_head_dim]
    PagedLayout compressed, index;
};

// How KV rows and index rows are stored (kv/row_formats.h).
struct RowFormat {
    int32_t channels = 0, rotary = 0; // rotary: the last channels of a KV row; 0 for index rows
    bool is_packed = false;           // else f32
    int32_t bytes = 0;
};

} // namespace ds4::kernels
