#include "backend/cuda/forward.h"
#include "kernels/attention/attention.h"
#include "kernels/cache_rows/cache_rows.h"
#include "kernels/compressor/compressor.h"
#include "kernels/indexer/indexer.h"

namespace ds4::cuda {

using kernels::Product;
using kernels::ProductInput;

void Forward::project(const LayerShape &facts, const LayerWeights &w,
                      const kernels::Activations &x) {
    // Compressor state and index weights stay in f32: they are sums over up to 128 tokens.
    std::vector<Product> products;
    const auto add = [&](const kernels::PackedMatrix &matrix, ProductInput input, float *y) {
        products.push_back({matrix, &x, input, y, matrix.rows});
    };
    add(w.q_a, ProductInput::rounded, b_.low.values);
    add(w.kv, ProductInput::rounded, b_.kv);
    if (facts.compress_ratio != 0) {
        add(w.compressor.values, ProductInput::exact, b_.compressor_values);
        add(w.compressor.gate, ProductInput::exact, b_.compressor_gate);
    }
    if (facts.has_indexer()) {
        add(w.index_compressor.values, ProductInput::exact, b_.index_values);
        add(w.index_compressor.gate, ProductInput::exact, b_.index_gate);
        add(w.index_weights, ProductInput::exact, b_.index_weights);
    }
    kernels::matmul(products, step_.rows, stream_);
}

bool Forward::some_select(const LayerShape &facts) const {
    return facts.has_indexer() &&
           visible(extent_.last_position, facts.compress_ratio) > context_.shape.index_top_k;
}

void Forward::finish_rows(int layer, const LayerShape &facts, const LayerWeights &w,
                          const float *angles) {
    const Shape &shape = context_.shape;
    kernels::finish_low({step_, angles, b_.low.values, w.q_norm, shape.q_lora_rank, b_.kv,
                         w.kv_norm, context_.kv_format(), shape.norm_epsilon, b_.kv_rows,
                         context_.recent.layers[size_t(layer)].window},
                        stream_);
    const kernels::Activations low = rounded(b_.low);
    std::vector<Product> products = {
        {w.q_b, &low, ProductInput::rounded, b_.q, shape.attention_width()}};
    if (some_select(facts))
        products.push_back({w.index_q, &low, ProductInput::rounded, b_.index_q,
                            int64_t(shape.index_heads) * shape.index_head_dim});
    kernels::matmul(products, step_.rows, stream_);
    kernels::finish_heads(
        {step_, angles, b_.q, shape.heads, shape.head_dim, shape.rope_dim, shape.norm_epsilon},
        stream_);
}

void Forward::compress(int layer, const LayerShape &facts, const LayerWeights &w) {
    if (facts.compress_ratio == 0) return;
    const Shape &shape = context_.shape;
    const kernels::LayerCacheLayout &cache = context_.recent.layers[size_t(layer)];
    const auto params = [&](const CompressorWeights &weights, const float *values, float *gate,
                            int channels, const kernels::RingLayout &values_ring,
                            const kernels::RingLayout &scores_ring,
                            const kernels::PagedLayout &entries, bool is_index) {
        return kernels::CompressParams{step_,
                                       values,
                                       gate,
                                       weights.position_bias,
                                       weights.norm,
                                       context_.weights->compressed_frequencies,
                                       facts.compress_ratio,
                                       facts.compressor_halves(),
                                       channels,
                                       shape.rope_dim,
                                       values_ring,
                                       scores_ring,
                                       entries,
                                       is_index ? context_.index_format() : context_.kv_format(),
                                       is_index,
                                       shape.norm_epsilon};
    };
    std::vector<kernels::CompressParams> compressors = {
        params(w.compressor, b_.compressor_values, b_.compressor_gate, shape.head_dim,
               cache.compressor_values, cache.compressor_scores, cache.compressed, false)};
    if (facts.has_indexer())
        compressors.push_back(params(w.index_compressor, b_.index_values, b_.index_gate,
                                     shape.index_head_dim, cache.index_compressor_values,
                                     cache.index_compressor_scores, cache.index, true));
    kernels::compress_and_stage(compressors, stream_);
}

void Forward::select(int layer, const LayerShape &facts, const float *angles) {
    const Shape &shape = context_.shape;
    const kernels::RowFormat format = context_.index_format();
    kernels::finish_index_queries({step_, angles, b_.index_q, shape.index_heads,
                                   shape.index_head_dim, shape.rope_dim, format, b_.index_packed},
                                  stream_);
    kernels::select_entries({step_, b_.index_q, b_.index_packed, b_.index_weights,
                             shape.index_heads, shape.index_head_dim,
                             context_.recent.layers[size_t(layer)].index, format,
                             facts.compress_ratio, shape.index_top_k,
                             visible(extent_.last_position, facts.compress_ratio), b_.scores,
                             b_.score_rows, b_.chosen, b_.chosen_counts},
                            stream_);
}

void Forward::attend(int layer, const LayerShape &facts, const LayerWeights &w, const float *angles,
                     bool selects) {
    const Shape &shape = context_.shape;
    const kernels::LayerCacheLayout &cache = context_.recent.layers[size_t(layer)];
    kernels::attend(
        {step_, b_.q, b_.kv_rows, angles, w.sinks, shape.heads, shape.head_dim,
         context_.kv_format(), shape.sliding_window, cache.window, cache.compressed,
         facts.compress_ratio, selects ? b_.chosen : nullptr, selects ? b_.chosen_counts : nullptr,
         shape.index_top_k,
         selects ? shape.index_top_k : visible(extent_.last_position, facts.compress_ratio),
         b_.attend_scratch, shape.o_groups, b_.heads.values},
        stream_);
}

void Forward::project_out(const LayerWeights &w) {
    const Shape &shape = context_.shape;
    const int32_t rows = step_.rows, width = shape.group_width(), rank = shape.o_lora_rank,
                  groups = shape.o_groups;
    const kernels::Activations heads = rounded(b_.heads);
    std::vector<kernels::Activations> inputs; // of each group
    std::vector<Product> products;
    inputs.reserve(size_t(groups));
    for (int g = 0; g < groups; g++) {
        const int64_t at = int64_t(g) * rows * width;
        inputs.push_back({rows, width, heads.values + at,
                          heads.quants == nullptr ? nullptr : heads.quants + at,
                          heads.scales == nullptr ? nullptr : heads.scales + at / 32,
                          heads.halves == nullptr ? nullptr : heads.halves + at});
        products.push_back({w.output_a[size_t(g)], &inputs.back(), ProductInput::rounded,
                            b_.group_low.values + int64_t(g) * rank, int64_t(groups) * rank});
    }
    kernels::matmul(products, rows, stream_);
    const kernels::Activations joined = rounded(b_.group_low);
    const Product product{w.output_b, &joined, ProductInput::rounded, b_.sublayer, shape.hidden};
    kernels::matmul({&product, 1}, rows, stream_);
}

void Forward::attention(int layer) {
    const LayerShape &facts = context_.shape.layer[size_t(layer)];
    const LayerWeights &w = context_.weights->layers[size_t(layer)];
    const float *angles = facts.compress_ratio == 0 ? b_.window_angles : b_.compressed_angles;
    project(facts, w, rounded(b_.x));
    finish_rows(layer, facts, w, angles);
    compress(layer, facts, w);
    const bool selects = some_select(facts);
    if (selects) select(layer, facts, angles);
    attend(layer, facts, w, angles, selects);
    project_out(w);
}

} // namespace ds4::cuda
