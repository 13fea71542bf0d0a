// The dimensions of one model, read from its file and checked once.
#pragma once
#include <cstdint>
#include <vector>

struct ds4_layer_options;
struct ds4_shape;

namespace ds4 {

struct LayerShape {
    int compress_ratio;        // 0, 4 or 128
    float swiglu_limit;        // routed experts; <= 0: none
    float shared_swiglu_limit; // <= 0: none
    bool hash_routed;          // chosen by token id, no bias
    // Halves of a compressor row: overlapping windows (ratio 4) keep two.
    int compressor_halves() const { return compress_ratio == 4 ? 2 : 1; }
    bool has_indexer() const { return compress_ratio == 4; }
    // Compressed entries that a query at this position may see: those of closed windows.
    int64_t visible_entries(int64_t position) const {
        return compress_ratio == 0 ? 0 : (position + 1) / compress_ratio;
    }
};

struct Shape {
    int layers, hidden, vocab;
    int heads, head_dim, rope_dim, q_lora_rank, o_groups, o_lora_rank;
    int experts, experts_per_token, moe_intermediate_size, hash_layers;
    int sliding_window; // tokens that a query sees, its own included
    int index_heads, index_head_dim, index_top_k;
    int streams, sinkhorn_iterations;
    uint32_t context_tokens;
    bool normalise_weights;
    float norm_epsilon, hc_epsilon;
    float rope_theta, compress_rope_theta;
    float yarn_factor, yarn_beta_fast, yarn_beta_slow;
    uint32_t yarn_original_tokens;
    float routed_scale;
    std::vector<LayerShape> layer;

    int hc_mix() const { return (2 + streams) * streams; } // pre, post and comb logits of one token
    int hc_width() const { return streams * hidden; }
    int attention_width() const { return heads * head_dim; }
    int group_width() const { return heads / o_groups * head_dim; }
};

// Throws Error(DS4_ERR_FORMAT) with the field, its range and the value that came.
void check_shape(const ds4_shape &raw, uint32_t layer_count);
// The same, then the shape. layer_options: [layer_count].
Shape make_shape(const ds4_shape &raw, const ds4_layer_options *layer_options,
                 uint32_t layer_count);

} // namespace ds4
