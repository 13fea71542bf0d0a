// The attention sublayer: projections, compressor, attention and output projection
// (docs/numerics.md#attention).
#pragma once
#include <span>
#include <vector>

#include "backend/cpu/blocks/compressor.h"
#include "backend/cpu/blocks/sequence_attention.h"
#include "backend/cpu/blocks/step_rows.h"
#include "backend/cpu/buffer.h"
#include "backend/cpu/context.h"
#include "backend/cpu/sequence.h"
#include "backend/cpu/weights.h"
#include "base/trace.h"

namespace ds4::cpu {

class Attention {
  public:
    explicit Attention(const Context &context);

    // x [rows, hidden] after the attention norm -> out [rows, hidden], f32. Stages the new cache
    // rows in the sequences.
    void run(int layer, const LayerWeights &weights, std::span<const SequenceRows> sequences,
             const StepAngles &angles, const float *x, int64_t rows, float *out, Trace *trace,
             const ChannelsDone &done = {});

  private:
    struct Projections { // of all rows of the step; null where the layer has no such projection
        float *q_low, *q, *kv, *compressor_values, *compressor_gate, *index_values, *index_gate,
            *index_weights, *index_q;
        Activations low; // q_low after its norm
    };
    Projections project(const LayerShape &layer, const LayerWeights &weights, const float *x,
                        int64_t rows);
    struct Compression { // of one sequence by one compressor
        CompressorInput in;
        CompressorState *state;
        size_t sequence;
        bool is_index;
    };
    struct Closing { // a window that closes
        size_t compression;
        int64_t window;
    };
    void plan_compression(const LayerShape &facts, int layer, const LayerWeights &weights,
                          std::span<const SequenceRows> sequences, const Projections &p);
    // Norm and rope of the low-rank queries and of the new rows, and the compressors' biases.
    void finish_low(const LayerWeights &weights, std::span<const SequenceRows> sequences,
                    const float *angles, Projections &p, int64_t rows);
    bool some_select(const LayerShape &layer, std::span<const SequenceRows> sequences) const;
    void make_queries(const LayerWeights &weights, const float *angles, const Projections &p,
                      int64_t rows, SideWork side);
    void finish_head(const float *angles, const Projections &p, int64_t row, int64_t head) const;
    void finish_index_head(const float *angles, const Projections &p, int64_t row, int64_t head);
    void close_window(int layer, const Closing &closing, std::span<const SequenceRows> sequences,
                      int worker);
    void stage_compression(int layer, std::span<const SequenceRows> sequences, Trace *trace);
    void project_out(const LayerWeights &weights, const float *heads_out, int64_t rows, float *out,
                     const ChannelsDone &done);

    const Context &context_;
    Workspace *memory_ = context_.workspace;
    Compressor compressor_;
    SequenceAttention sequence_attention_;
    std::vector<Compression> compressions_; // of this call
    std::vector<Closing> closing_;
    std::vector<size_t> sequence_of_row_;
    Buffer q_low_{memory_}, q_{memory_}, kv_{memory_}, compressor_values_{memory_},
        compressor_gate_{memory_}, index_values_{memory_}, index_gate_{memory_},
        index_weights_{memory_}, index_q_{memory_};
    Buffer x_forms_{memory_}, low_forms_{memory_}, heads_{memory_}, heads_forms_{memory_},
        group_low_{memory_}, group_forms_{memory_}, row_index_{memory_};
};

} // namespace ds4::cpu
