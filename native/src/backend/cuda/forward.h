// The forward pass of a step as launches on a stream: embedding, layers, head. It allocates nothing
// and waits for nothing.
#pragma once
#include <cstdint>

#include "backend/cuda/arena.h"
#include "backend/cuda/context.h"
#include "device/device.h"
#include "kernels/activations/activations.h"
#include "kernels/matmul/matmul.h"
#include "kernels/step/step_table.h"

namespace ds4::cuda {

// The size of a step: its buffers follow from it.
struct StepExtent {
    int32_t rows = 0, logits_rows = 0;
    int64_t last_position = 0; // the largest of any row
};

// Rows of activations with the memory of their forms.
struct Forms {
    float *values = nullptr;
    int8_t *quants = nullptr;
    float *scales = nullptr;
    uint16_t *halves = nullptr;
    int32_t rows = 0, cols = 0;
    kernels::Activations view() const { return {rows, cols, values, quants, scales, halves}; }
};

// All buffers of a step, device memory. Null pointers where the model has no such part.
struct StepBuffers {
    StepBuffers(Arena &arena, const Context &context, const StepExtent &extent);

    float *streams, *window_angles, *compressed_angles;
    float *post, *comb, *sublayer, *collapse_scratch;
    Forms x;   // [rows, hidden] input of a sublayer
    Forms low; // [rows, q_lora_rank]
    float *q, *kv, *compressor_values, *compressor_gate;
    float *index_values, *index_gate, *index_weights, *index_q;
    uint8_t *index_packed;
    uint8_t *kv_rows;
    int32_t *chosen, *chosen_counts;
    float *scores;
    int32_t score_rows = 0;
    float *attend_scratch;
    Forms heads;     // [groups * rows, group_width]
    Forms group_low; // [rows, groups * o_lora_rank]
    float *router_logits, *route_weights;
    int32_t *route_ids;
    int32_t *group_begin, *row_of, *line_of, *active, *active_count;
    float *weight_of;
    Forms shared; // [rows, width]: gate, then the hidden values
    float *shared_up, *shared_out;
    float *routed_hidden, *routed_scales, *partials;
    int8_t *routed_quants;
    float *head_collapsed; // [logits rows, hidden] before the norm
    Forms head;            // after it
    float *logits;         // [logits rows, vocab]

  private:
    Forms forms(Arena &arena, const Context &context, int32_t rows, int32_t cols) const;
    void add_attention(Arena &arena, const Context &context, const StepExtent &extent);
    void add_experts(Arena &arena, const Context &context, int32_t rows);
};

// Entries that a query at this position may see in any layer of the ratio.
inline int64_t visible(int64_t position, int ratio) {
    return ratio == 0 ? 0 : (position + 1) / ratio;
}

// Launches of one step. The buffers are those of its extent.
class Forward {
  public:
    Forward(const Context &context, const kernels::StepTable &step, const StepExtent &extent,
            const StepBuffers &buffers, device::Stream &stream)
        : context_(context), step_(step), extent_(extent), b_(buffers), stream_(stream) {}

    void embed();
    // Each leaves its output in buffers().sublayer and has not yet added it to the streams.
    void attention(int layer);
    void experts(int layer);
    // Before a sublayer: its input from the streams; after it: its output into the streams.
    void enter(const MixWeights &mix, const float *norm);
    void leave();
    void head(const int32_t *row_indices);
    const StepBuffers &buffers() const { return b_; }

  private:
    kernels::Activations rounded(const Forms &forms);
    void project(const LayerShape &facts, const LayerWeights &w, const kernels::Activations &x);
    void finish_rows(int layer, const LayerShape &facts, const LayerWeights &w,
                     const float *angles);
    void compress(int layer, const LayerShape &facts, const LayerWeights &w);
    void select(int layer, const LayerShape &facts, const float *angles);
    void attend(int layer, const LayerShape &facts, const LayerWeights &w, const float *angles,
                bool selects);
    void project_out(const LayerWeights &w);
    bool some_select(const LayerShape &facts) const;

    const Context &context_;
    const kernels::StepTable &step_;
    const StepExtent &extent_;
    const StepBuffers &b_;
    device::Stream &stream_;
};

} // namespace ds4::cuda
