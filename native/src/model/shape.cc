#include "model/shape.h"

#include <cmath>
#include <cstring>

#include "base/fail.h"
#include "ds4.h"

namespace ds4 {
namespace {

// Limits are multiples of the largest published model (Pro). They are so small that every product
// of two of them fits in 63 bits.
struct Limit {
    const char *name;
    uint32_t value, low, high;
};

void check(const Limit &limit) {
    if (limit.value < limit.low || limit.value > limit.high)
        fail(DS4_ERR_FORMAT, "%s is %u; this engine takes %u..%u", limit.name, limit.value,
             limit.low, limit.high);
}

void check_float(const char *name, float value, float low, float high) {
    if (!(value >= low && value <= high))
        fail(DS4_ERR_FORMAT, "%s is %g; expected %g..%g", name, value, low, high);
}

void check_multiple(const char *name, uint32_t value, uint32_t of) {
    if (value % of != 0)
        fail(DS4_ERR_FORMAT, "%s is %u; expected a multiple of %u", name, value, of);
}

void check_ranges(const ds4_shape &raw) {
    const Limit limits[] = {
        {"layers", raw.layers, 1, 1024},
        {"hidden", raw.hidden, 32, 1u << 17},
        {"vocab", raw.vocab, 2, 1u << 22},
        {"heads", raw.heads, 1, 4096},
        {"head_dim", raw.head_dim, 64, 8192},
        {"rope_dim", raw.rope_dim, 2, 8192},
        {"q_lora_rank", raw.q_lora_rank, 32, 1u << 16},
        {"o_groups", raw.o_groups, 1, 4096},
        {"o_lora_rank", raw.o_lora_rank, 1, 1u << 16},
        {"experts", raw.experts, 1, 65536},
        {"experts_per_token", raw.experts_per_token, 1, 64},
        {"moe_intermediate_size", raw.moe_intermediate_size, 32, 1u << 17},
        {"hash_layers", raw.hash_layers, 0, 1024},
        {"sliding_window", raw.sliding_window, 1, 1u << 16},
        {"index_heads", raw.index_heads, 1, 4096},
        {"index_head_dim", raw.index_head_dim, 32, 4096},
        {"index_top_k", raw.index_top_k, 1, 1u << 20},
        {"streams", raw.streams, 1, 16},
        {"sinkhorn_iterations", raw.sinkhorn_iterations, 1, 1000},
        {"context_tokens", raw.context_tokens, 1, 1u << 24},
        {"yarn_original_tokens", raw.yarn_original_tokens, 1, 1u << 24},
    };
    for (const Limit &limit : limits) check(limit);
    check_float("norm_epsilon", raw.norm_epsilon, 0.0f, 1.0f);
    check_float("hc_epsilon", raw.hc_epsilon, 0.0f, 1.0f);
    check_float("rope_theta", raw.rope_theta, 1.5f, 1e12f);
    check_float("compress_rope_theta", raw.compress_rope_theta, 1.5f, 1e12f);
    check_float("yarn_factor", raw.yarn_factor, 1e-3f, 1e6f);
    check_float("yarn_beta_fast", raw.yarn_beta_fast, 1e-6f, 1e6f);
    check_float("yarn_beta_slow", raw.yarn_beta_slow, 1e-6f, 1e6f);
    check_float("routed_scale", raw.routed_scale, -1e6f, 1e6f);
}

void check_relations(const ds4_shape &raw) {
    check_multiple("hidden", raw.hidden, 32);
    check_multiple("q_lora_rank", raw.q_lora_rank, 32);
    check_multiple("moe_intermediate_size", raw.moe_intermediate_size, 32);
    check_multiple("heads", raw.heads, raw.o_groups);
    check_multiple("rope_dim", raw.rope_dim, 2);
    if (raw.rope_dim > raw.head_dim || raw.rope_dim > raw.index_head_dim)
        fail(DS4_ERR_FORMAT, "rope_dim is %u; expected at most head_dim %u and index_head_dim %u",
             raw.rope_dim, raw.head_dim, raw.index_head_dim);
    // KV rows are rounded in groups of 64 ahead of the rotary channels. Index rows are rounded in
    // groups of 32 after a Walsh-Hadamard transform.
    check_multiple("head_dim - rope_dim", raw.head_dim - raw.rope_dim, 64);
    if ((raw.index_head_dim & (raw.index_head_dim - 1)) != 0)
        fail(DS4_ERR_FORMAT, "index_head_dim is %u; expected a power of two", raw.index_head_dim);
    if (raw.experts_per_token > raw.experts)
        fail(DS4_ERR_FORMAT, "experts_per_token is %u; expected at most experts %u",
             raw.experts_per_token, raw.experts);
    // Experts of all layers, 45 times those of Pro: the tables of a model stay below 200 MB.
    constexpr uint64_t kMaxExperts = 1u << 20;
    if (uint64_t(raw.layers) * raw.experts > kMaxExperts)
        fail(DS4_ERR_FORMAT, "%u layers of %u experts; this engine takes %llu experts in all",
             raw.layers, raw.experts, (unsigned long long)kMaxExperts);
    if (raw.hash_layers > raw.layers)
        fail(DS4_ERR_FORMAT, "hash_layers is %u; expected at most layers %u", raw.hash_layers,
             raw.layers);
}

} // namespace

void check_shape(const ds4_shape &raw, uint32_t layer_count) {
    check_ranges(raw);
    check_relations(raw);
    if (layer_count != raw.layers)
        fail(DS4_ERR_ARGUMENT, "%u layer options came for %u layers", layer_count, raw.layers);
}

Shape make_shape(const ds4_shape &raw, const ds4_layer_options *layer_options,
                 uint32_t layer_count) {
    check_shape(raw, layer_count);
    Shape shape{};
    shape.layers = int(raw.layers), shape.hidden = int(raw.hidden), shape.vocab = int(raw.vocab);
    shape.heads = int(raw.heads), shape.head_dim = int(raw.head_dim),
    shape.rope_dim = int(raw.rope_dim);
    shape.q_lora_rank = int(raw.q_lora_rank), shape.o_groups = int(raw.o_groups),
    shape.o_lora_rank = int(raw.o_lora_rank);
    shape.experts = int(raw.experts), shape.experts_per_token = int(raw.experts_per_token);
    shape.moe_intermediate_size = int(raw.moe_intermediate_size),
    shape.hash_layers = int(raw.hash_layers), shape.sliding_window = int(raw.sliding_window);
    shape.index_heads = int(raw.index_heads), shape.index_head_dim = int(raw.index_head_dim),
    shape.index_top_k = int(raw.index_top_k);
    shape.streams = int(raw.streams), shape.sinkhorn_iterations = int(raw.sinkhorn_iterations);
    shape.context_tokens = raw.context_tokens, shape.normalise_weights = raw.normalise_weights != 0;
    shape.norm_epsilon = raw.norm_epsilon, shape.hc_epsilon = raw.hc_epsilon;
    shape.rope_theta = raw.rope_theta, shape.compress_rope_theta = raw.compress_rope_theta;
    shape.yarn_factor = raw.yarn_factor, shape.yarn_beta_fast = raw.yarn_beta_fast,
    shape.yarn_beta_slow = raw.yarn_beta_slow;
    shape.yarn_original_tokens = raw.yarn_original_tokens, shape.routed_scale = raw.routed_scale;
    for (uint32_t l = 0; l < layer_count; l++) {
        const ds4_layer_options &options = layer_options[l];
        if (options.compress_ratio != 0 && options.compress_ratio != 4 &&
            options.compress_ratio != 128)
            fail(DS4_ERR_FORMAT, "compress_ratio of layer %u is %u; expected 0, 4 or 128", l,
                 options.compress_ratio);
        if (!std::isfinite(options.swiglu_limit) || !std::isfinite(options.shared_swiglu_limit))
            fail(DS4_ERR_FORMAT, "the SwiGLU limit of layer %u is not finite", l);
        if (options.reserved != 0)
            fail(DS4_ERR_ARGUMENT, "the reserved field of layer %u's options is %u; expected 0", l,
                 options.reserved);
        shape.layer.push_back({int(options.compress_ratio), options.swiglu_limit,
                               options.shared_swiglu_limit, l < raw.hash_layers});
    }
    return shape;
}

} // namespace ds4
