// Attention of one layer over the sliding window and the compressed entries
// (docs/numerics.md#attention).
#pragma once
#include <span>
#include <vector>

#include "backend/cpu/blocks/compressor.h"
#include "backend/cpu/blocks/indexer.h"
#include "backend/cpu/buffer.h"
#include "backend/cpu/context.h"
#include "backend/cpu/sequence.h"
#include "backend/cpu/weights.h"
#include "base/trace.h"

namespace ds4::cpu {

// The new tokens of one sequence within the step's rows.
struct SequenceRows {
    Sequence *sequence;
    int64_t first_row; // of the step's rows
    int64_t count;
    int64_t position; // of the first token
};

// Rotary angles of every row of the step, [rows, rope_dim] for each kind of layer.
struct StepAngles {
    const float *window, *compressed;
};

class Attention {
  public:
    explicit Attention(const Context &context);

    // x [rows, hidden] after the attention norm -> out [rows, hidden]. Cache rows are staged in the
    // sequences.
    void run(int layer, const LayerWeights &weights, std::span<const SequenceRows> sequences,
             const StepAngles &angles, const float *x, int64_t rows, float *out, Trace *trace);

  private:
    struct Projections { // of all rows of the step
        float *q_low, *q, *kv, *compressor_values, *compressor_gate, *index_values, *index_gate,
            *index_weights, *index_q;
        Activations low; // of q_low after its norm
    };
    Projections project(const LayerShape &layer, const LayerWeights &weights, const float *x,
                        int64_t rows);
    void finish_queries(const LayerWeights &weights, const float *angles, Projections &p,
                        int64_t rows);
    void make_index_queries(const LayerWeights &weights, const float *angles,
                            std::span<const SequenceRows> sequences, Projections &p, int64_t rows);
    void compress(int layer, const LayerWeights &weights, const SequenceRows &rows,
                  const Projections &p, Trace *trace);
    void attend(int layer, const LayerWeights &weights, const SequenceRows &rows,
                const float *angles, const Projections &p, float *heads_out, int64_t total_rows,
                Trace *trace);
    void project_out(const LayerWeights &weights, const float *heads_out, int64_t rows, float *out);

    const Context &context_;
    Compressor compressor_;
    Indexer indexer_;
    Buffer q_low_, q_, kv_, kv_rows_, compressor_values_, compressor_gate_, index_values_,
        index_gate_, index_weights_, index_q_;
    Buffer x_forms_, low_forms_, heads_, heads_forms_, group_low_, group_forms_, row_index_;
    Buffer window_, dense_, gathered_, chosen_;
    std::vector<Buffer> scores_; // one a worker
};

} // namespace ds4::cpu
