#include "backend/cpu/blocks/attention.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "backend/cpu/blocks/attend_heads.h"

namespace ds4::cpu {
namespace {

// A plain f32 view of rows that another Activations prepares in low precision.
Activations exact_view(const float *values, int64_t count, int64_t cols) {
    Activations x;
    x.count = count, x.cols = cols, x.values = values;
    return x;
}

// queries [query_values] hold something only if some query had a choice
void trace_indexer(Trace &trace, int layer, const std::vector<float> &chosen,
                   const std::vector<float> &scores, const float *queries, int64_t query_values) {
    trace.put("index_selected", layer, chosen.data(), int64_t(chosen.size()));
    trace.put("index_scores", layer, scores.data(), int64_t(scores.size()));
    if (!chosen.empty()) trace.put("index_queries", layer, queries, query_values);
}

} // namespace

Attention::Attention(const Context &context)
    : context_(context), compressor_(context), indexer_(context),
      scores_(size_t(context.pool.threads())) {}

Attention::Projections Attention::project(const LayerShape &layer, const LayerWeights &w,
                                          const float *x, int64_t rows) {
    const Shape &shape = context_.shape;
    Projections p{};
    const Activations low_precision = prepare_activations(
        context_.pool, context_.isa, x, rows, shape.hidden, context_.precision,
        x_forms_.get<uint8_t>(int64_t(activation_bytes(rows, shape.hidden, context_.precision))));
    // Compressor state and head weights stay in f32: they are sums that live for up to 128 tokens.
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

void Attention::finish_queries(const LayerWeights &w, const float *angles, Projections &p,
                               int64_t rows) {
    const Shape &shape = context_.shape;
    const int64_t dim = shape.head_dim, rotary = shape.rope_dim, width = shape.attention_width();
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
    p.q = q_.get<float>(rows * width);
    const Product product{w.q_b, &p.low, nullptr, rows, p.q, width};
    multiply(context_.pool, context_.isa, {&product, 1});
    context_.each(rows * shape.heads, [&](int64_t item) {
        float *q = p.q + item * dim;
        rms_norm(context_.vectors, q, nullptr, q, dim, epsilon);
        rotate(q + dim - rotary, angles + item / shape.heads * rotary, int(rotary), false);
    });
}

void Attention::make_index_queries(const LayerWeights &w, const float *angles,
                                   std::span<const SequenceRows> sequences, Projections &p,
                                   int64_t rows) {
    const Shape &shape = context_.shape;
    const bool needed = std::any_of(sequences.begin(), sequences.end(), [&](const SequenceRows &s) {
        return Indexer::visible(s.position + s.count - 1) > shape.index_top_k;
    });
    if (!needed) return;
    const int64_t dim = shape.index_head_dim, rotary = shape.rope_dim,
                  width = int64_t(shape.index_heads) * dim;
    p.index_q = index_q_.get<float>(rows * width);
    const Product product{w.index_q, &p.low, nullptr, rows, p.index_q, width};
    multiply(context_.pool, context_.isa, {&product, 1});
    context_.each(rows * shape.index_heads, [&](int64_t item) {
        float *q = p.index_q + item * dim;
        rotate(q + dim - rotary, angles + item / shape.index_heads * rotary, int(rotary), false);
        if (context_.cache.index.storage == RowStorage::packed) round_index_row(q, int(dim));
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

void Attention::attend(int layer, const LayerWeights &w, const SequenceRows &rows,
                       const float *angles, const Projections &p, float *heads_out,
                       int64_t total_rows, Trace *trace) {
    const Shape &shape = context_.shape;
    const LayerShape &facts = shape.layer[size_t(layer)];
    LayerCache &cache = rows.sequence->layer(layer);
    const int64_t dim = shape.head_dim, row_bytes = context_.cache.kv.bytes(),
                  top_k = shape.index_top_k;
    const int64_t last = rows.position + rows.count - 1;

    // The window's rows as attention sees them: kept rows of older positions, then the new ones
    // after their rounding.
    const int64_t window_first = std::max<int64_t>(0, rows.position - (shape.sliding_window - 1));
    const int64_t kept = rows.position - window_first;
    float *window = window_.get<float>((kept + rows.count) * dim);
    uint8_t *encoded = kv_rows_.get<uint8_t>(rows.count * row_bytes);
    context_.each(kept + rows.count, [&](int64_t i) {
        if (i < kept)
            return context_.cache.kv.decode(cache.window.row(window_first + i), window + i * dim);
        uint8_t *row = encoded + (i - kept) * row_bytes;
        context_.cache.kv.encode(p.kv + (rows.first_row + i - kept) * dim, row);
        context_.cache.kv.decode(row, window + i * dim);
    });
    cache.window.stage(rows.position, rows.count, encoded, row_bytes);
    if (trace != nullptr) trace->put("raw_rows", layer, window + kept * dim, rows.count * dim);

    // Compressed entries that queries share: all of them, or with an indexer those that queries
    // without a choice see.
    const auto visible = [&](int64_t position) {
        return facts.compress_ratio == 0 ? 0 : (position + 1) / facts.compress_ratio;
    };
    const auto selects = [&](int64_t position) {
        return facts.has_indexer() && visible(position) > top_k;
    };
    const int64_t shared = facts.has_indexer() ? std::min(visible(last), top_k) : visible(last);
    const bool any_shared = !selects(rows.position);
    float *dense = dense_.get<float>(any_shared ? shared * dim : 0);
    if (any_shared)
        context_.each(shared, [&](int64_t i) {
            context_.cache.kv.decode(cache.compressed.row(i), dense + i * dim);
        });

    HeadsInput in{shape, context_.vectors, w.sinks.data()};
    const int64_t blocks = (shape.heads + kHeadBlock - 1) / kHeadBlock;
    const auto run_tokens = [&](int64_t begin, int64_t end, const float *chosen_rows) {
        context_.each_with_worker((end - begin) * blocks, [&](int64_t item, int worker) {
            const int64_t t = begin + item / blocks, position = rows.position + t,
                          head = item % blocks * kHeadBlock;
            const int64_t low = std::max<int64_t>(0, position - (shape.sliding_window - 1));
            const bool gathered = chosen_rows != nullptr;
            HeadsRows keys{window + (low - window_first) * dim, position - low + 1,
                           gathered ? chosen_rows + (t - begin) * top_k * dim : dense,
                           gathered ? top_k : visible(position)};
            attend_heads(in, keys, p.q + (rows.first_row + t) * shape.attention_width(),
                         angles + (rows.first_row + t) * shape.rope_dim, head,
                         std::min<int64_t>(head + kHeadBlock, shape.heads), scores_[size_t(worker)],
                         HeadsOutput{heads_out, rows.first_row + t, total_rows});
        });
    };
    int64_t t = 0;
    while (t < rows.count && !selects(rows.position + t)) t++;
    if (t > 0) run_tokens(0, t, nullptr);
    std::vector<float> trace_chosen, trace_scores;
    const int64_t index_width = int64_t(shape.index_heads) * shape.index_head_dim;
    const float *index_q = p.index_q == nullptr
                               ? nullptr
                               : p.index_q + rows.first_row * index_width; // null: nobody chooses
    constexpr int64_t kGatherBatch = 8; // queries whose chosen rows are decoded at a time
    while (t < rows.count) {
        // keys are decoded once for as many queries as their scores may take memory for
        const int64_t scored = std::min(rows.count, t + indexer_.queries_per_call(last));
        int32_t *chosen = chosen_.get<int32_t>((scored - t) * top_k);
        indexer_.select({rows.position, rows.count, index_q,
                         p.index_weights + rows.first_row * shape.index_heads},
                        cache.index, t, scored, chosen);
        if (trace != nullptr) {
            trace_chosen.insert(trace_chosen.end(), chosen, chosen + (scored - t) * top_k);
            if (scored == rows.count)
                trace_scores.assign(indexer_.scores(scored - t - 1),
                                    indexer_.scores(scored - t - 1) + visible(last));
        }
        for (; t < scored; chosen += std::min(kGatherBatch, scored - t) * top_k,
                           t = std::min(scored, t + kGatherBatch)) {
            const int64_t end = std::min(scored, t + kGatherBatch);
            float *gathered = gathered_.get<float>((end - t) * top_k * dim);
            context_.each((end - t) * top_k, [&](int64_t i) {
                context_.cache.kv.decode(cache.compressed.row(chosen[i]), gathered + i * dim);
            });
            run_tokens(t, end, gathered);
        }
    }
    if (trace != nullptr && facts.has_indexer()) {
        trace_indexer(*trace, layer, trace_chosen, trace_scores, index_q, rows.count * index_width);
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
    finish_queries(weights, angles, p, rows);
    if (facts.has_indexer()) make_index_queries(weights, angles, sequences, p, rows);
    float *heads_out = heads_.get<float>(rows * shape.attention_width());
    for (const SequenceRows &sequence : sequences) {
        if (facts.compress_ratio != 0) compress(layer, weights, sequence, p, trace);
        attend(layer, weights, sequence, angles, p, heads_out, rows, trace);
    }
    project_out(weights, heads_out, rows, out);
}

} // namespace ds4::cpu
