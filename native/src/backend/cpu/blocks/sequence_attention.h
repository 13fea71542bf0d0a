// Attention of one sequence's new tokens over its window and its compressed entries
// (docs/numerics.md#attention).
#pragma once
#include <deque>
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

class SequenceAttention {
  public:
    explicit SequenceAttention(const Context &context)
        : context_(context), indexer_(context),
          scores_(worker_buffers(context.workspace, context.pool.threads())) {}

    // Stages the window rows of the new tokens in the sequence and writes the heads' outputs of its
    // rows to heads_out, [o_groups, total_rows, group_width]. The sequence's compressed entries are
    // up to date.
    void run(int layer, const SequenceRows &rows, const AttentionInput &in, float *heads_out,
             int64_t total_rows, Trace *trace);

  private:
    // One call of run, with the f32 keys that its queries share.
    struct Call {
        int layer;
        const LayerShape &facts;
        const SequenceRows &rows;
        const AttentionInput &in;
        float *heads_out;
        int64_t total_rows;
        Trace *trace;
        LayerCache &cache;
        const float *window = nullptr; // from position window_first to the last new token
        int64_t window_first = 0;
        const float *entries = nullptr; // the first compressed entries; none if all queries select
    };
    bool selects(const Call &call, int64_t position) const;
    int64_t shared_entries(const Call &call) const;
    void load_rows(Call &call);
    HeadsRows rows_of(const Call &call, int64_t query, const float *selected_entries) const;
    void attend(const Call &call, int64_t begin, int64_t end, const float *selected_entries);
    void attend_in_slices(const Call &call, int64_t query, const HeadsRows &keys);
    void attend_selected(const Call &call, int64_t begin);

    const Context &context_;
    Workspace *memory_ = context_.workspace;
    Indexer indexer_;
    Buffer kv_rows_{memory_}, window_{memory_}, entries_{memory_}, gathered_{memory_},
        chosen_{memory_}, partials_{memory_};
    std::deque<Buffer> scores_; // one a worker
};

} // namespace ds4::cpu
