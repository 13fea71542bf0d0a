#include "backend/cpu/blocks/attention.h"

#include <algorithm>
#include <numeric>

namespace ds4::cpu {
namespace {

// An f32 view of rows that another Activations prepares in low precision.
Activations exact_view(const float *values, int64_t count, int64_t cols) {
    Activations x;
    x.count = count, x.cols = cols, x.values = values;
    return x;
}

} // namespace

Attention::Attention(const Context &context)
    : context_(context), compressor_(context), sequence_attention_(context) {}

Attention::Projections Attention::project(const LayerShape &layer, const LayerWeights &w,
                                          const float *x, int64_t rows) {
    const Shape &shape = context_.shape;
    Projections p{};
    const Activations low_precision = prepare_activations(
        context_.pool, context_.isa, x, rows, shape.hidden, context_.precision,
        x_forms_.get<uint8_t>(int64_t(activation_bytes(rows, shape.hidden, context_.precision))));
    // Compressor state and index weights stay in f32: they are sums over up to 128 tokens.
    const Activations exact = exact_view(x, rows, shape.hidden);
    std::vector<Product> products;
    const auto add = [&](const Matrix &matrix, const Activations &input, Buffer &buffer) {
        float *y = buffer.get<float>(rows * matrix.rows);
        products.push_back({matrix, &input, nullptr, rows, y, matrix.rows});
        return y;
    };
    p.q_low = add(w.q_a, low_precision, q_low_);
    p.kv = add(w.kv, low_precision, kv_);
    if (layer.compress_ratio != 0) {
        p.compressor_values = add(w.compressor.values, exact, compressor_values_);
        p.compressor_gate = add(w.compressor.gate, exact, compressor_gate_);
    }
    if (layer.has_indexer()) {
        p.index_values = add(w.index_compressor.values, exact, index_values_);
        p.index_gate = add(w.index_compressor.gate, exact, index_gate_);
        p.index_weights = add(w.index_weights, exact, index_weights_);
    }
    multiply(context_.pool, context_.isa, products);
    return p;
}

void Attention::finish_low(const LayerWeights &w, const float *angles, Projections &p,
                           int64_t rows) {
    const Shape &shape = context_.shape;
    const int64_t dim = shape.head_dim, rotary = shape.rope_dim;
    const float epsilon = shape.norm_epsilon;
    context_.each(rows, [&](int64_t t) {
        rms_norm(context_.vectors, p.q_low + t * shape.q_lora_rank, w.q_norm.data(),
                 p.q_low + t * shape.q_lora_rank, shape.q_lora_rank, epsilon);
        rms_norm_precise(p.kv + t * dim, w.kv_norm.data(), p.kv + t * dim, dim, epsilon);
        rotate(p.kv + (t + 1) * dim - rotary, angles + t * rotary, int(rotary), false);
    });
    p.low = prepare_activations(
        context_.pool, context_.isa, p.q_low, rows, shape.q_lora_rank, context_.precision,
        low_forms_.get<uint8_t>(
            int64_t(activation_bytes(rows, shape.q_lora_rank, context_.precision))));
}

// Queries of attention, and those of the indexer where some query has to select.
void Attention::make_queries(const LayerWeights &w, const float *angles, bool selects,
                             Projections &p, int64_t rows) {
    const Shape &shape = context_.shape;
    const int64_t dim = shape.head_dim, rotary = shape.rope_dim, width = shape.attention_width(),
                  index_dim = shape.index_head_dim, index_heads = selects ? shape.index_heads : 0;
    p.q = q_.get<float>(rows * width);
    p.index_q = selects ? index_q_.get<float>(rows * index_heads * index_dim) : nullptr;
    const Product products[] = {
        {w.q_b, &p.low, nullptr, rows, p.q, width},
        {w.index_q, &p.low, nullptr, rows, p.index_q, index_heads * index_dim}};
    multiply(context_.pool, context_.isa, {products, size_t(selects ? 2 : 1)});
    context_.each(rows * (shape.heads + index_heads), [&](int64_t item) {
        if (item < rows * shape.heads) {
            float *q = p.q + item * dim;
            rms_norm(context_.vectors, q, nullptr, q, dim, shape.norm_epsilon);
            rotate(q + dim - rotary, angles + item / shape.heads * rotary, int(rotary), false);
            return;
        }
        const int64_t head = item - rows * shape.heads;
        float *q = p.index_q + head * index_dim;
        rotate(q + index_dim - rotary, angles + head / index_heads * rotary, int(rotary), false);
        if (context_.cache.index.storage == RowStorage::packed) round_index_row(q, int(index_dim));
    });
}

bool Attention::some_select(const LayerShape &layer,
                            std::span<const SequenceRows> sequences) const {
    return layer.has_indexer() &&
           std::any_of(sequences.begin(), sequences.end(), [&](const SequenceRows &s) {
               return Indexer::visible(s.position + s.count - 1) > context_.shape.index_top_k;
           });
}

void Attention::compress(int layer, const LayerWeights &w, const SequenceRows &rows,
                         const Projections &p, Trace *trace) {
    const Shape &shape = context_.shape;
    const LayerShape &facts = shape.layer[size_t(layer)];
    LayerCache &cache = rows.sequence->layer(layer);
    const int halves = facts.compressor_halves();
    const Rope &rope = context_.compressed_rope;
    const auto input = [&](const CompressorWeights &weights, float *values, float *gate, int dim) {
        const int64_t offset = rows.first_row * halves * dim;
        return CompressorInput{rows.position,
                               rows.count,
                               values + offset,
                               gate + offset,
                               weights.norm.data(),
                               weights.position_bias.data(),
                               facts.compress_ratio,
                               halves,
                               dim};
    };
    compressor_.run(input(w.compressor, p.compressor_values, p.compressor_gate, shape.head_dim),
                    *cache.compressor, rope, [&](int64_t window, const float *entry) {
                        context_.cache.kv.encode(entry, cache.compressed.row(window));
                    });
    if (facts.has_indexer())
        compressor_.run(
            input(w.index_compressor, p.index_values, p.index_gate, shape.index_head_dim),
            *cache.index_compressor, rope, [&](int64_t window, float *entry) {
                context_.cache.index.encode(entry, cache.index.row(window));
            });
    if (trace != nullptr) {
        const int64_t begin = rows.position / facts.compress_ratio,
                      end = (rows.position + rows.count) / facts.compress_ratio;
        std::vector<float> entries(size_t((end - begin) * shape.head_dim));
        for (int64_t i = begin; i < end; i++)
            context_.cache.kv.decode(cache.compressed.row(i),
                                     entries.data() + (i - begin) * shape.head_dim);
        trace->put("compressed", layer, entries.data(), int64_t(entries.size()));
    }
}

void Attention::project_out(const LayerWeights &w, const float *heads_out, int64_t rows,
                            float *out) {
    const Shape &shape = context_.shape;
    const int64_t groups = shape.o_groups, width = shape.group_width(), rank = shape.o_lora_rank,
                  low_width = groups * rank;
    const Activations heads = prepare_activations(
        context_.pool, context_.isa, heads_out, groups * rows, width, context_.precision,
        heads_forms_.get<uint8_t>(
            int64_t(activation_bytes(groups * rows, width, context_.precision))));
    int32_t *row_index = row_index_.get<int32_t>(groups * rows);
    std::iota(row_index, row_index + groups * rows, 0);
    float *low = group_low_.get<float>(rows * low_width);
    std::vector<Product> products;
    for (int64_t g = 0; g < groups; g++)
        products.push_back(
            {w.output_a[size_t(g)], &heads, row_index + g * rows, rows, low + g * rank, low_width});
    multiply(context_.pool, context_.isa, products);
    const Activations joined = prepare_activations(
        context_.pool, context_.isa, low, rows, low_width, context_.precision,
        group_forms_.get<uint8_t>(int64_t(activation_bytes(rows, low_width, context_.precision))));
    const Product product{w.output_b, &joined, nullptr, rows, out, shape.hidden};
    multiply(context_.pool, context_.isa, {&product, 1});
}

void Attention::run(int layer, const LayerWeights &weights, std::span<const SequenceRows> sequences,
                    const StepAngles &all_angles, const float *x, int64_t rows, float *out,
                    Trace *trace) {
    const Shape &shape = context_.shape;
    const LayerShape &facts = shape.layer[size_t(layer)];
    const float *angles = facts.compress_ratio == 0 ? all_angles.window : all_angles.compressed;
    Projections p = project(facts, weights, x, rows);
    finish_low(weights, angles, p, rows);
    make_queries(weights, angles, some_select(facts, sequences), p, rows);
    float *heads_out = heads_.get<float>(rows * shape.attention_width());
    const AttentionInput input{p.q, p.kv, p.index_q, p.index_weights, angles, weights.sinks.data()};
    for (const SequenceRows &sequence : sequences) {
        if (facts.compress_ratio != 0) compress(layer, weights, sequence, p, trace);
        sequence_attention_.run(layer, sequence, input, heads_out, rows, trace);
    }
    project_out(weights, heads_out, rows, out);
}

} // namespace ds4::cpu
