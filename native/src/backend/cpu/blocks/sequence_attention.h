// Attention of the sequences' new tokens over their windows and compressed entries
// (docs/numerics.md#attention).
#pragma once
#include <deque>
#include <span>
#include <vector>

#include "backend/cpu/blocks/attend_heads.h"
#include "backend/cpu/blocks/indexer.h"
#include "backend/cpu/blocks/step_rows.h"
#include "backend/cpu/buffer.h"
#include "backend/cpu/context.h"
#include "backend/cpu/sequence.h"
#include "base/trace.h"

namespace ds4::cpu {

// Projections of all rows of the step, after norm and rope.
struct AttentionInput {
    const float *q;             // [rows, heads, head_dim]
    const float *kv;            // [rows, head_dim]
    const float *index_q;       // [rows, index_heads, index_head_dim]; null: no query selects
    const float *index_weights; // [rows, index_heads]; null without an indexer
    const float *angles;        // [rows, rope_dim]
    const float *sinks;         // [heads]
};

// Sequences are loaded and attended together as long as their rows are no more bytes than this, of
// either kind. A sequence that has more is alone.
constexpr int64_t kLoadedBytes = int64_t(4) << 20;

// The acts of one layer: begin, then the loads of the first sequences beside other work, then
// finish.
class SequenceAttention {
  public:
    explicit SequenceAttention(const Context &context)
        : context_(context), tiles_(tile_attention(context.isa, context.cache.kv)),
          indexer_(context), scores_(worker_buffers(context.workspace, context.pool.threads())) {}

    // in: kv is there; the others are when finish is called. heads_out: [o_groups, total_rows,
    // group_width].
    void begin(int layer, std::span<const SequenceRows> sequences, const AttentionInput &in,
               float *heads_out, int64_t total_rows, Trace *trace);
    // Decode rows of the caches that are older than the step, and round the new window rows.
    int64_t loads() const { return int64_t(loads_.size()); }
    void load(int64_t item);
    // Decodes an entry that this step has added to the compressed rows of a sequence.
    void load_entry(size_t sequence, int64_t entry);
    // Stages the window rows of the new tokens in the sequences, and writes the heads' outputs.
    void finish();

    Indexer &indexer() { return indexer_; }

  private:
    struct Step {
        int layer;
        AttentionInput in;
        float *heads_out;
        int64_t total_rows;
        Trace *trace;
    };
    struct Sequence { // with the keys that its queries share
        SequenceRows rows;
        LayerCache *cache;
        const LayerShape *facts;
        int64_t window_first;       // position of the first row of the window
        int64_t in_window;          // rows, the new ones included
        int64_t window_start;       // position of row 0 in memory, which begins a chunk
        int64_t shared;             // entries, the first ones
        uint8_t *encoded = nullptr; // [count] new rows
        uint8_t *window = nullptr, *entries = nullptr;
    };
    struct Load { // rows begin..end-1 of a sequence's window or shared entries, in memory
        const Sequence *sequence;
        bool is_window;
        int64_t begin, end;
    };
    struct Query {
        const Sequence *sequence;
        int64_t token;           // of the sequence's new ones
        const uint8_t *selected; // index_top_k rows, or null for the shared entries
    };
    Sequence sequence_of(const SequenceRows &rows) const;
    bool selects(const Sequence &sequence, int64_t position) const;
    // Keys in memory: f32 [head_dim], or chunks with rows of zeros up to the end.
    int64_t row_count(int64_t rows) const {
        return tiles_ == nullptr ? rows : (rows + kChunkRows - 1) / kChunkRows * kChunkRows;
    }
    int64_t rows_bytes(int64_t rows) const {
        return key_bytes(rows, context_.shape.head_dim, tiles_ != nullptr);
    }
    // row: in the cache's form; null: row i belongs to no position
    void put_row(uint8_t *keys, int64_t i, const uint8_t *row) const;
    int64_t window_rows(const Sequence &sequence) const;
    int64_t head_block(int64_t queries) const;
    // Chooses the next sequences that are loaded together, and their memory.
    void place_next();
    void add_loads(bool with_new_entries);
    const uint8_t *window_row(const Sequence &sequence, int64_t i);
    void trace_new_rows(const Sequence &sequence) const;
    void stage_loaded();
    void attend_loaded();
    HeadsRows rows_of(const Query &query) const;
    HeadsOutput output_of(const Query &query) const;
    void attend(std::span<const Query> queries);
    void attend_in_slices(std::span<const Query> queries);
    void attend_selected(const Sequence &sequence, int64_t begin);
    void gather(const Sequence &sequence, const int32_t *chosen, int64_t begin,
                uint8_t *keys) const;
    void attend_chosen(const Sequence &sequence, int64_t begin, int64_t end, const int32_t *chosen);

    const Context &context_;
    const TileAttention *tiles_; // null: keys are f32
    Workspace *memory_ = context_.workspace;
    Indexer indexer_;
    Step step_{};
    std::vector<Sequence> sequences_;
    size_t first_ = 0, end_ = 0; // those that are loaded
    std::vector<Load> loads_;
    Buffer kv_rows_{memory_}, window_{memory_}, entries_{memory_}, gathered_{memory_},
        chosen_{memory_}, partials_{memory_};
    std::deque<Buffer> scores_; // one a worker
};

} // namespace ds4::cpu
