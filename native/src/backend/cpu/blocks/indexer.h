// The indexer of ratio-4 layers scores all visible compressed entries with small heads and keeps
// the best top-k for attention (docs/numerics.md#indexer).
#pragma once
#include <deque>
#include <vector>

#include "backend/cpu/blocks/top_rows.h"
#include "backend/cpu/buffer.h"
#include "backend/cpu/context.h"
#include "backend/cpu/sequence.h"

namespace ds4::cpu {

struct IndexQueries {
    int64_t first; // position of the first token
    int64_t count;
    int64_t first_row;    // of the packed queries, which is that of the first token
    const float *queries; // [count, index_heads, index_head_dim] after rope (and rounding)
    const float *weights; // [count, index_heads], unscaled
};

class Indexer {
  public:
    explicit Indexer(const Context &context)
        : context_(context), scratch_(worker_buffers(context.workspace, context.pool.threads())),
          top_(size_t(context.pool.threads())) {}

    // Number of entries that a token may see: floor((position + 1) / 4).
    static int64_t visible(int64_t position) { return (position + 1) / 4; }
    // Room for the packed queries of a step of so many rows.
    void begin(int64_t rows);
    // Threads: any. Packs a head's query, after rope and rounding, of one row of the step. Where
    // index rows are stored plainly it does nothing.
    void pack(int64_t row, int64_t head, const float *query, float weight);
    // Scores the queries begin..end-1 of `in` and selects for each the ids of its best index_top_k
    // entries, ascending: chosen [end - begin, index_top_k]. Only for queries that see more than
    // index_top_k entries.
    void select(const IndexQueries &in, const PagedRows &keys, int64_t begin, int64_t end,
                int32_t *chosen);
    const float *scores(int64_t query_in_call) const {
        return scores_pointer_ + query_in_call * stride_;
    }
    // Number of queries whose scores fit in the bounded buffer of one call.
    static int64_t queries_per_call(int64_t visible);

  private:
    // Queries as the integer products read them: [rows, index_heads].
    struct PackedQueries {
        int8_t *codes;
        int32_t *sums;
        float *scales, *weights;
    };
    void score_packed(const IndexQueries &in, const PagedRows &keys, int64_t begin, int64_t end);
    void score_plain(const IndexQueries &in, const PagedRows &keys, int64_t begin, int64_t end);
    void choose(const IndexQueries &in, int64_t begin, int64_t end, int32_t *chosen);
    void choose_in_blocks(int64_t visible, int32_t *chosen);
    float weight_scale() const;

    const Context &context_;
    Workspace *memory_ = context_.workspace;
    Buffer keys_{memory_}, scores_{memory_}, codes_{memory_}, sums_{memory_}, scales_{memory_},
        weights_{memory_}, block_ids_{memory_}, block_scores_{memory_};
    PackedQueries packed_{}; // of all rows of the step
    float *scores_pointer_ = nullptr;
    int64_t stride_ = 0;
    std::deque<Buffer> scratch_; // one a worker
    std::vector<TopRows> top_;
};

} // namespace ds4::cpu
