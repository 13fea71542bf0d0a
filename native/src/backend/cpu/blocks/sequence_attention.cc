#include "backend/cpu/blocks/sequence_attention.h"

#include <algorithm>

namespace ds4::cpu {
namespace {

constexpr int64_t kGatherBatch = 8; // queries whose selected entries are decoded at a time

// The selections of all queries and the scores of the last one, for the trace.
struct SelectionTrace {
    std::vector<float> chosen, scores;
    // queries: [values]; they exist only if some query had to select.
    void write(Trace &trace, int layer, const float *queries, int64_t values) const {
        trace.put("index_selected", layer, chosen.data(), int64_t(chosen.size()));
        trace.put("index_scores", layer, scores.data(), int64_t(scores.size()));
        if (!chosen.empty()) trace.put("index_queries", layer, queries, values);
    }
};

} // namespace

// A query selects entries if it sees more of them than the indexer keeps.
bool SequenceAttention::selects(const Call &call, int64_t position) const {
    return call.facts.has_indexer() &&
           call.facts.visible_entries(position) > context_.shape.index_top_k;
}

// Number of entries for queries that do not select: the first ones, which they all share.
int64_t SequenceAttention::shared_entries(const Call &call) const {
    if (selects(call, call.rows.position)) return 0;
    const int64_t visible = call.facts.visible_entries(call.rows.position + call.rows.count - 1);
    return call.facts.has_indexer() ? std::min<int64_t>(visible, context_.shape.index_top_k)
                                    : visible;
}

// Decodes the kept rows of older positions and the shared entries; rounds the new rows by encoding
// them, and stages them.
void SequenceAttention::load_rows(Call &call) {
    const SequenceRows &rows = call.rows;
    const KvRowFormat &format = context_.cache.kv;
    const int64_t dim = context_.shape.head_dim, row_bytes = format.bytes();
    call.window_first = std::max<int64_t>(0, rows.position - (context_.shape.sliding_window - 1));
    const int64_t kept = rows.position - call.window_first, in_window = kept + rows.count,
                  shared = shared_entries(call);
    float *window = window_.get<float>(in_window * dim),
          *entries = entries_.get<float>(shared * dim);
    uint8_t *encoded = kv_rows_.get<uint8_t>(rows.count * row_bytes);
    context_.each(in_window + shared, [&](int64_t i) {
        if (i >= in_window)
            return context_.cache_kernels.decode_kv_row(
                format, call.cache.compressed.row(i - in_window), entries + (i - in_window) * dim);
        if (i < kept)
            return context_.cache_kernels.decode_kv_row(
                format, call.cache.window.row(call.window_first + i), window + i * dim);
        uint8_t *row = encoded + (i - kept) * row_bytes;
        format.encode(call.in.kv + (rows.first_row + i - kept) * dim, row);
        context_.cache_kernels.decode_kv_row(format, row, window + i * dim);
    });
    call.cache.window.stage(rows.position, rows.count, encoded, row_bytes);
    if (call.trace != nullptr)
        call.trace->put("raw_rows", call.layer, window + kept * dim, rows.count * dim);
    call.window = window, call.entries = entries;
}

// selected_entries: those of this query, or null for the shared ones.
HeadsRows SequenceAttention::rows_of(const Call &call, int64_t query,
                                     const float *selected_entries) const {
    const int64_t position = call.rows.position + query,
                  low = std::max<int64_t>(0, position - (context_.shape.sliding_window - 1));
    const bool selected = selected_entries != nullptr;
    return {call.window + (low - call.window_first) * context_.shape.head_dim, position - low + 1,
            selected ? selected_entries : call.entries,
            selected ? context_.shape.index_top_k : call.facts.visible_entries(position)};
}

// Attention of the queries begin..end-1. selected_entries: [end - begin, index_top_k, head_dim], or
// null for the shared ones.
void SequenceAttention::attend(const Call &call, int64_t begin, int64_t end,
                               const float *selected_entries) {
    const Shape &shape = context_.shape;
    const int64_t entries = shape.index_top_k * int64_t(shape.head_dim);
    const HeadsInput in{shape, context_.vectors, call.in.sinks};
    const int64_t blocks = (shape.heads + kHeadBlock - 1) / kHeadBlock;
    const auto keys_of = [&](int64_t t) {
        return rows_of(call, t,
                       selected_entries == nullptr ? nullptr
                                                   : selected_entries + (t - begin) * entries);
    };
    if (end - begin == 1 && context_.pool.threads() > 1 && keys_of(begin).slices() > 1)
        return attend_in_slices(call, begin, keys_of(begin));
    context_.each_with_worker((end - begin) * blocks, [&](int64_t item, int worker) {
        const int64_t t = begin + item / blocks, head = item % blocks * kHeadBlock,
                      row = call.rows.first_row + t;
        attend_heads(in, keys_of(t), call.in.q + row * shape.attention_width(),
                     call.in.angles + row * shape.rope_dim, head,
                     std::min<int64_t>(head + kHeadBlock, shape.heads), scores_[size_t(worker)],
                     HeadsOutput{call.heads_out, row, call.total_rows});
    });
}

// One query over so many entries that head blocks alone do not occupy all threads.
void SequenceAttention::attend_in_slices(const Call &call, int64_t query, const HeadsRows &keys) {
    const Shape &shape = context_.shape;
    const HeadsInput in{shape, context_.vectors, call.in.sinks};
    const int64_t blocks = (shape.heads + kHeadBlock - 1) / kHeadBlock, slices = keys.slices(),
                  floats = partial_floats(shape), stride = shape.heads * floats,
                  row = call.rows.first_row + query;
    const float *q = call.in.q + row * shape.attention_width(),
                *angles = call.in.angles + row * shape.rope_dim;
    float *partials = partials_.get<float>(slices * stride);
    context_.each_with_worker(slices * blocks, [&](int64_t item, int worker) {
        const int64_t slice = item / blocks, head = item % blocks * kHeadBlock,
                      end = std::min<int64_t>(head + kHeadBlock, shape.heads);
        attend_slice(in, keys, slice, q, head, end,
                     scores_[size_t(worker)].get<float>(slice_floats(shape, keys, end - head)),
                     partials + slice * stride + head * floats);
    });
    context_.each(shape.heads, [&](int64_t head) {
        finish_head(in, partials + head * floats, slices, stride, angles, head,
                    HeadsOutput{call.heads_out, row, call.total_rows});
    });
}

// Attention of the queries from begin on, each over the entries that the indexer selects for it.
void SequenceAttention::attend_selected(const Call &call, int64_t begin) {
    const Shape &shape = context_.shape;
    const SequenceRows &rows = call.rows;
    const int64_t dim = shape.head_dim, top_k = shape.index_top_k,
                  last = rows.position + rows.count - 1,
                  index_width = int64_t(shape.index_heads) * shape.index_head_dim;
    const float *index_q =
        call.in.index_q == nullptr ? nullptr : call.in.index_q + rows.first_row * index_width;
    SelectionTrace record;
    for (int64_t t = begin; t < rows.count;) {
        // Index keys are decoded once for all queries whose scores fit in the budget together.
        const int64_t scored =
            std::min(rows.count, t + Indexer::queries_per_call(Indexer::visible(last)));
        int32_t *chosen = chosen_.get<int32_t>((scored - t) * top_k);
        indexer_.select({rows.position, rows.count, index_q,
                         call.in.index_weights + rows.first_row * shape.index_heads},
                        call.cache.index, t, scored, chosen);
        if (call.trace != nullptr) {
            record.chosen.insert(record.chosen.end(), chosen, chosen + (scored - t) * top_k);
            if (scored == rows.count) {
                const float *scores = indexer_.scores(scored - t - 1);
                record.scores.assign(scores, scores + call.facts.visible_entries(last));
            }
        }
        for (; t < scored; chosen += std::min(kGatherBatch, scored - t) * top_k,
                           t = std::min(scored, t + kGatherBatch)) {
            const int64_t end = std::min(scored, t + kGatherBatch);
            float *gathered = gathered_.get<float>((end - t) * top_k * dim);
            context_.each((end - t) * top_k, [&](int64_t i) {
                context_.cache_kernels.decode_kv_row(
                    context_.cache.kv, call.cache.compressed.row(chosen[i]), gathered + i * dim);
            });
            attend(call, t, end, gathered);
        }
    }
    if (call.trace != nullptr && call.facts.has_indexer())
        record.write(*call.trace, call.layer, index_q, rows.count * index_width);
}

void SequenceAttention::run(int layer, const SequenceRows &rows, const AttentionInput &in,
                            float *heads_out, int64_t total_rows, Trace *trace) {
    Call call{layer, context_.shape.layer[size_t(layer)], rows, in, heads_out, total_rows,
              trace, rows.sequence->layer(layer)};
    load_rows(call);
    int64_t first_selecting = 0;
    while (first_selecting < rows.count && !selects(call, rows.position + first_selecting))
        first_selecting++;
    if (first_selecting > 0) attend(call, 0, first_selecting, nullptr);
    attend_selected(call, first_selecting);
}

} // namespace ds4::cpu
