#include "backend/cpu/blocks/attention.h"

#include <algorithm>
#include <numeric>
#include <utility>

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

void Attention::finish_low(const LayerWeights &w, std::span<const SequenceRows> sequences,
                           const float *angles, Projections &p, int64_t rows) {
    const Shape &shape = context_.shape;
    const int64_t dim = shape.head_dim, rotary = shape.rope_dim, rank = shape.q_lora_rank;
    const float epsilon = shape.norm_epsilon;
    sequence_of_row_.clear();
    for (size_t s = 0; s < sequences.size(); s++)
        sequence_of_row_.insert(sequence_of_row_.end(), size_t(sequences[s].count), s);
    context_.each_of_channels(rows, rank, [&](int64_t row) {
        float *q = p.q_low + row * rank, *kv = p.kv + row * dim;
        rms_norm(context_.vectors, q, w.q_norm.data(), q, rank, epsilon);
        rms_norm_precise(kv, w.kv_norm.data(), kv, dim, epsilon);
        rotate(kv + dim - rotary, angles + row * rotary, int(rotary), false);
        const size_t sequence = sequence_of_row_[size_t(row)];
        for (const Compression &compression : compressions_)
            if (compression.sequence == sequence)
                Compressor::add_position_bias(compression.in, row - sequences[sequence].first_row);
    });
    p.low = prepare_activations(
        context_.pool, context_.isa, p.q_low, rows, rank, context_.precision,
        low_forms_.get<uint8_t>(int64_t(activation_bytes(rows, rank, context_.precision))));
}

void Attention::finish_head(const float *angles, const Projections &p, int64_t row,
                            int64_t head) const {
    const Shape &shape = context_.shape;
    const int64_t dim = shape.head_dim, rotary = shape.rope_dim;
    float *q = p.q + row * shape.attention_width() + head * dim;
    rms_norm(context_.vectors, q, nullptr, q, dim, shape.norm_epsilon);
    rotate(q + dim - rotary, angles + row * rotary, int(rotary), false);
}

void Attention::finish_index_head(const float *angles, const Projections &p, int64_t row,
                                  int64_t head) {
    const Shape &shape = context_.shape;
    const int64_t dim = shape.index_head_dim, rotary = shape.rope_dim,
                  at = row * shape.index_heads + head;
    float *q = p.index_q + at * dim;
    rotate(q + dim - rotary, angles + row * rotary, int(rotary), false);
    if (context_.cache.index.storage == RowStorage::packed) round_index_row(q, int(dim));
    sequence_attention_.indexer().pack(row, head, q, p.index_weights[at]);
}

// Queries of attention, and those of the indexer where some query has to select. Beside them the
// windows that close become entries, and the rows of the caches are loaded.
void Attention::make_queries(const LayerWeights &w, const float *angles, const Projections &p,
                             int64_t rows, SideWork side) {
    const Shape &shape = context_.shape;
    const int64_t heads = shape.heads, index_heads = p.index_q == nullptr ? 0 : shape.index_heads;
    Epilogue after(shape.head_dim, [&](int64_t head) {
        for (int64_t t = 0; t < rows; t++) finish_head(angles, p, t, head);
    });
    Epilogue after_index(std::max(1, shape.index_head_dim), [&](int64_t head) {
        for (int64_t t = 0; t < rows; t++) finish_index_head(angles, p, t, head);
    });
    const bool few = rows <= kEpilogueTokens;
    const Product products[] = {
        {w.q_b, &p.low, nullptr, rows, p.q, shape.attention_width(), few ? &after : nullptr},
        {w.index_q, &p.low, nullptr, rows, p.index_q, index_heads * shape.index_head_dim,
         few ? &after_index : nullptr}};
    multiply(context_.pool, context_.isa, {products, size_t(index_heads > 0 ? 2 : 1)},
             std::move(side));
    if (few) return;
    context_.each(rows * (heads + index_heads), [&](int64_t item) {
        if (item < rows * heads)
            finish_head(angles, p, item / heads, item % heads);
        else
            finish_index_head(angles, p, (item - rows * heads) / index_heads,
                              (item - rows * heads) % index_heads);
    });
}

bool Attention::some_select(const LayerShape &layer,
                            std::span<const SequenceRows> sequences) const {
    return layer.has_indexer() &&
           std::any_of(sequences.begin(), sequences.end(), [&](const SequenceRows &s) {
               return Indexer::visible(s.position + s.count - 1) > context_.shape.index_top_k;
           });
}

void Attention::plan_compression(const LayerShape &facts, int layer, const LayerWeights &w,
                                 std::span<const SequenceRows> sequences, const Projections &p) {
    const int halves = facts.compressor_halves();
    compressions_.clear(), closing_.clear();
    const auto add = [&](size_t sequence, bool is_index, const CompressorWeights &weights,
                         CompressorState &state, const float *values, float *gate, int dim) {
        const SequenceRows &rows = sequences[sequence];
        const int64_t offset = rows.first_row * halves * dim;
        const CompressorInput in{rows.position,
                                 rows.count,
                                 values + offset,
                                 gate + offset,
                                 weights.norm.data(),
                                 weights.position_bias.data(),
                                 facts.compress_ratio,
                                 halves,
                                 dim};
        for (int64_t window = Compressor::first_window(in); window < Compressor::end_window(in);
             window++)
            closing_.push_back({compressions_.size(), window});
        compressions_.push_back({in, &state, sequence, is_index});
    };
    for (size_t s = 0; s < sequences.size() && facts.compress_ratio != 0; s++) {
        LayerCache &cache = sequences[s].sequence->layer(layer);
        add(s, false, w.compressor, *cache.compressor, p.compressor_values, p.compressor_gate,
            context_.shape.head_dim);
        if (facts.has_indexer())
            add(s, true, w.index_compressor, *cache.index_compressor, p.index_values, p.index_gate,
                context_.shape.index_head_dim);
    }
}

void Attention::close_window(int layer, const Closing &closing,
                             std::span<const SequenceRows> sequences, int worker) {
    const Compression &of = compressions_[closing.compression];
    LayerCache &cache = sequences[of.sequence].sequence->layer(layer);
    compressor_.close(
        of.in, *of.state, context_.compressed_rope, closing.window, worker, [&](float *entry) {
            if (of.is_index)
                return context_.cache.index.encode(entry, cache.index.row(closing.window));
            context_.cache.kv.encode(entry, cache.compressed.row(closing.window));
            sequence_attention_.load_entry(of.sequence, closing.window);
        });
}

void Attention::stage_compression(int layer, std::span<const SequenceRows> sequences,
                                  Trace *trace) {
    for (const Compression &compression : compressions_) {
        Compressor::stage(compression.in, *compression.state);
        if (trace == nullptr || compression.is_index) continue;
        const LayerCache &cache = sequences[compression.sequence].sequence->layer(layer);
        const int64_t begin = Compressor::first_window(compression.in),
                      end = Compressor::end_window(compression.in), dim = context_.shape.head_dim;
        std::vector<float> entries(size_t((end - begin) * dim));
        for (int64_t i = begin; i < end; i++)
            context_.cache.kv.decode(cache.compressed.row(i), entries.data() + (i - begin) * dim);
        trace->put("compressed", layer, entries.data(), int64_t(entries.size()));
    }
}

void Attention::project_out(const LayerWeights &w, const float *heads_out, int64_t rows, float *out,
                            const ChannelsDone &done) {
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
    const bool few = rows <= kEpilogueTokens;
    Epilogue after(kChannelBlock, [&](int64_t block) {
        const int64_t begin = block * kChannelBlock;
        for (int64_t t = 0; t < rows; t++)
            done(t, begin, std::min(kChannelBlock, shape.hidden - begin));
    });
    const Product product{
        w.output_b, &joined, nullptr, rows, out, shape.hidden, few && done ? &after : nullptr};
    multiply(context_.pool, context_.isa, {&product, 1});
    if (!few && done) context_.each_block(rows, shape.hidden, done);
}

void Attention::run(int layer, const LayerWeights &weights, std::span<const SequenceRows> sequences,
                    const StepAngles &all_angles, const float *x, int64_t rows, float *out,
                    Trace *trace, const ChannelsDone &done) {
    const Shape &shape = context_.shape;
    const LayerShape &facts = shape.layer[size_t(layer)];
    const float *angles = facts.compress_ratio == 0 ? all_angles.window : all_angles.compressed;
    Projections p = project(facts, weights, x, rows);
    p.q = q_.get<float>(rows * shape.attention_width());
    if (some_select(facts, sequences)) {
        p.index_q = index_q_.get<float>(rows * shape.index_heads * shape.index_head_dim);
        sequence_attention_.indexer().begin(rows);
    }
    plan_compression(facts, layer, weights, sequences, p);
    finish_low(weights, sequences, angles, p, rows);
    float *heads_out = heads_.get<float>(rows * shape.attention_width());
    sequence_attention_.begin(layer, sequences,
                              {p.q, p.kv, p.index_q, p.index_weights, angles, weights.sinks.data()},
                              heads_out, rows, trace);
    const int64_t windows = int64_t(closing_.size());
    make_queries(weights, angles, p, rows,
                 {windows + sequence_attention_.loads(), [&](int64_t item, int worker) {
                      if (item < windows)
                          close_window(layer, closing_[size_t(item)], sequences, worker);
                      else
                          sequence_attention_.load(item - windows);
                  }});
    stage_compression(layer, sequences, trace);
    sequence_attention_.finish();
    project_out(weights, heads_out, rows, out, done);
}

} // namespace ds4::cpu
