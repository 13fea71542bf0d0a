#include "backend/cpu/blocks/sequence_attention.h"

#include <algorithm>
#include <atomic>

namespace ds4::cpu {
namespace {

constexpr int64_t kLoadRows = 16;   // rows of one work item
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
bool SequenceAttention::selects(const Sequence &sequence, int64_t position) const {
    return sequence.facts->has_indexer() &&
           sequence.facts->visible_entries(position) > context_.shape.index_top_k;
}

SequenceAttention::Sequence SequenceAttention::sequence_of(const SequenceRows &rows) const {
    const LayerShape &facts = context_.shape.layer[size_t(step_.layer)];
    Sequence out{};
    out.rows = rows, out.facts = &facts, out.cache = &rows.sequence->layer(step_.layer);
    out.window_first = std::max<int64_t>(0, rows.position - (context_.shape.sliding_window - 1));
    out.in_window = rows.position - out.window_first + rows.count;
    // Rows share a chunk by their positions, so that sums do not depend on the step.
    out.window_start =
        tiles_ == nullptr ? out.window_first : out.window_first / kChunkRows * kChunkRows;
    // Queries that do not select share the first entries.
    const int64_t visible = facts.visible_entries(rows.position + rows.count - 1);
    if (!selects(out, rows.position))
        out.shared =
            facts.has_indexer() ? std::min<int64_t>(visible, context_.shape.index_top_k) : visible;
    return out;
}

void SequenceAttention::begin(int layer, std::span<const SequenceRows> sequences,
                              const AttentionInput &in, float *heads_out, int64_t total_rows,
                              Trace *trace) {
    step_ = {layer, in, heads_out, total_rows, trace};
    sequences_.clear();
    for (const SequenceRows &rows : sequences) sequences_.push_back(sequence_of(rows));
    first_ = end_ = 0;
    place_next();
    add_loads(false);
}

int64_t SequenceAttention::window_rows(const Sequence &sequence) const {
    return row_count(sequence.window_first - sequence.window_start + sequence.in_window);
}

void SequenceAttention::put_row(uint8_t *keys, int64_t i, const uint8_t *row) const {
    const KvRowFormat &format = context_.cache.kv;
    if (tiles_ == nullptr)
        context_.cache_kernels.decode_kv_row(format, row,
                                             reinterpret_cast<float *>(keys) + i * format.channels);
    else if (row == nullptr)
        tiles_->clear_row(format, keys, i);
    else
        tiles_->load_row(format, row, keys, i);
}

void SequenceAttention::place_next() {
    const int64_t row_bytes = context_.cache.kv.bytes();
    int64_t tokens = 0, windows = 0, entries = 0; // the last two in bytes
    first_ = end_;
    for (; end_ < sequences_.size(); end_++) {
        const Sequence &next = sequences_[end_];
        const int64_t window = rows_bytes(window_rows(next)), shared = rows_bytes(next.shared);
        if (end_ > first_ && (windows + window > kLoadedBytes || entries + shared > kLoadedBytes))
            break;
        tokens += next.rows.count, windows += window, entries += shared;
    }
    uint8_t *encoded = kv_rows_.get<uint8_t>(tokens * row_bytes),
            *window = window_.get<uint8_t>(windows), *entry = entries_.get<uint8_t>(entries);
    for (size_t i = first_; i < end_; i++) {
        Sequence &sequence = sequences_[i];
        sequence.encoded = encoded, sequence.window = window, sequence.entries = entry;
        encoded += sequence.rows.count * row_bytes, window += rows_bytes(window_rows(sequence)),
            entry += rows_bytes(sequence.shared);
    }
}

void SequenceAttention::add_loads(bool with_new_entries) {
    loads_.clear();
    const auto add = [&](const Sequence &sequence, bool is_window, int64_t begin, int64_t end) {
        for (; begin < end; begin += kLoadRows)
            loads_.push_back({&sequence, is_window, begin, std::min(end, begin + kLoadRows)});
    };
    for (size_t i = first_; i < end_; i++) {
        const Sequence &sequence = sequences_[i];
        const int64_t shared = sequence.shared,
                      older = sequence.facts->visible_entries(sequence.rows.position - 1);
        add(sequence, true, 0, window_rows(sequence));
        add(sequence, false, 0, with_new_entries ? shared : std::min(older, shared));
        add(sequence, false, shared, row_count(shared));
    }
}

void SequenceAttention::load(int64_t item) {
    const Load &load = loads_[size_t(item)];
    const Sequence &sequence = *load.sequence;
    for (int64_t i = load.begin; i < load.end; i++)
        if (load.is_window)
            put_row(sequence.window, i, window_row(sequence, i));
        else
            put_row(sequence.entries, i,
                    i < sequence.shared ? sequence.cache->compressed.row(i) : nullptr);
}

// Row i of a window in memory. New rows are encoded.
const uint8_t *SequenceAttention::window_row(const Sequence &sequence, int64_t i) {
    const KvRowFormat &format = context_.cache.kv;
    const int64_t at = i - (sequence.window_first - sequence.window_start),
                  token = at - (sequence.in_window - sequence.rows.count);
    if (at < 0 || at >= sequence.in_window) return nullptr;
    if (token < 0) return sequence.cache->window.row(sequence.window_first + at);
    uint8_t *encoded = sequence.encoded + token * format.bytes();
    format.encode(step_.in.kv + (sequence.rows.first_row + token) * format.channels, encoded);
    return encoded;
}

void SequenceAttention::load_entry(size_t sequence, int64_t entry) {
    if (sequence >= end_ || entry >= sequences_[sequence].shared) return;
    put_row(sequences_[sequence].entries, entry, sequences_[sequence].cache->compressed.row(entry));
}

void SequenceAttention::trace_new_rows(const Sequence &sequence) const {
    const KvRowFormat &format = context_.cache.kv;
    std::vector<float> rows(size_t(sequence.rows.count * format.channels));
    for (int64_t i = 0; i < sequence.rows.count; i++)
        format.decode(sequence.encoded + i * format.bytes(), rows.data() + i * format.channels);
    step_.trace->put("raw_rows", step_.layer, rows.data(), int64_t(rows.size()));
}

void SequenceAttention::stage_loaded() {
    for (size_t i = first_; i < end_; i++) {
        const Sequence &sequence = sequences_[i];
        sequence.cache->window.stage(sequence.rows.position, sequence.rows.count, sequence.encoded,
                                     context_.cache.kv.bytes());
        if (step_.trace != nullptr) trace_new_rows(sequence);
    }
}

HeadsRows SequenceAttention::rows_of(const Query &query) const {
    const Sequence &sequence = *query.sequence;
    const int64_t position = sequence.rows.position + query.token,
                  low = std::max<int64_t>(0, position - (context_.shape.sliding_window - 1));
    const bool selected = query.selected != nullptr;
    const int64_t first = low - sequence.window_start;
    return {sequence.window + (tiles_ == nullptr ? rows_bytes(first) : 0),
            tiles_ == nullptr ? 0 : first, position - low + 1,
            selected ? query.selected : sequence.entries,
            selected ? context_.shape.index_top_k : sequence.facts->visible_entries(position)};
}

// Heads of one work item. Two groups of 16 on tile registers share the rows that they load.
int64_t SequenceAttention::head_block(int64_t queries) const {
    if (tiles_ == nullptr) return kHeadBlock;
    const int64_t pairs = (context_.shape.heads + kMaxTiledHeads - 1) / kMaxTiledHeads;
    return queries * pairs >= context_.pool.threads() ? kMaxTiledHeads : kTileHeads;
}

HeadsOutput SequenceAttention::output_of(const Query &query) const {
    return {step_.heads_out, query.sequence->rows.first_row + query.token, step_.total_rows};
}

void SequenceAttention::attend(std::span<const Query> queries) {
    const Shape &shape = context_.shape;
    const HeadsInput in{shape, context_.vectors, step_.in.sinks, tiles_};
    const int64_t block_heads = head_block(int64_t(queries.size())),
                  blocks = (shape.heads + block_heads - 1) / block_heads,
                  items = int64_t(queries.size()) * blocks, threads = context_.pool.threads();
    const auto is_long = [&](const Query &query) { return rows_of(query).slices() > 1; };
    if (threads > 1 && items < 4 * threads && std::any_of(queries.begin(), queries.end(), is_long))
        return attend_in_slices(queries);
    context_.each_with_worker(items, [&](int64_t item, int worker) {
        const Query &query = queries[size_t(item / blocks)];
        const int64_t head = item % blocks * block_heads;
        const HeadsOutput out = output_of(query);
        attend_heads(in, rows_of(query), step_.in.q + out.row * shape.attention_width(),
                     step_.in.angles + out.row * shape.rope_dim, head,
                     std::min<int64_t>(head + block_heads, shape.heads), scores_[size_t(worker)],
                     out);
    });
}

// Queries over so many entries that head blocks alone do not occupy all threads. The thread that
// ends the last slice of a block writes its heads.
void SequenceAttention::attend_in_slices(std::span<const Query> queries) {
    struct Slice {
        size_t query;
        int64_t slice, slices, block, partials; // partials: where the query's begin
    };
    const Shape &shape = context_.shape;
    const HeadsInput in{shape, context_.vectors, step_.in.sinks, tiles_};
    const int64_t block_heads = tiles_ == nullptr ? kHeadBlock : kTileHeads,
                  blocks = (shape.heads + block_heads - 1) / block_heads,
                  floats = partial_floats(shape), stride = shape.heads * floats;
    std::vector<Slice> items;
    std::vector<std::atomic<int64_t>> missing(queries.size() * size_t(blocks)); // slices of a block
    int64_t total = 0;
    for (size_t q = 0; q < queries.size(); q++) {
        const int64_t slices = rows_of(queries[q]).slices();
        for (int64_t item = 0; item < slices * blocks; item++)
            items.push_back({q, item / blocks, slices, item % blocks, total});
        for (int64_t block = 0; block < blocks; block++)
            missing[q * size_t(blocks) + size_t(block)].store(slices);
        total += slices * stride;
    }
    float *const all = partials_.get<float>(total);
    context_.each_with_worker(int64_t(items.size()), [&](int64_t i, int worker) {
        const Slice &item = items[size_t(i)];
        const Query &query = queries[item.query];
        const HeadsRows keys = rows_of(query);
        const HeadsOutput out = output_of(query);
        const int64_t head = item.block * block_heads,
                      end = std::min<int64_t>(head + block_heads, shape.heads);
        float *partials = all + item.partials;
        attend_slice(in, keys, item.slice, step_.in.q + out.row * shape.attention_width(), head,
                     end, scores_[size_t(worker)].get<float>(slice_floats(in, keys, end - head)),
                     partials + item.slice * stride + head * floats);
        std::atomic<int64_t> &left = missing[item.query * size_t(blocks) + size_t(item.block)];
        if (left.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
        for (int64_t h = head; h < end; h++)
            finish_head(in, partials + h * floats, item.slices, stride,
                        step_.in.angles + out.row * shape.rope_dim, h, out);
    });
}

// Loads rows from `begin` on of the entries that are chosen. They lie far apart, so that each is
// fetched some rows ahead.
void SequenceAttention::gather(const Sequence &sequence, const int32_t *chosen, int64_t begin,
                               uint8_t *keys) const {
    constexpr int64_t kRowsAhead = 4;
    const int64_t top_k = context_.shape.index_top_k, row_bytes = context_.cache.kv.bytes(),
                  end = std::min(begin + kLoadRows, row_count(top_k));
    const PagedRows &rows = sequence.cache->compressed;
    for (int64_t i = begin; i < end; i++) {
        if (i + kRowsAhead < top_k) {
            const uint8_t *next = rows.row(chosen[i + kRowsAhead]);
            for (int64_t at = 0; at < row_bytes; at += 64) __builtin_prefetch(next + at);
        }
        put_row(keys, i, i < top_k ? rows.row(chosen[i]) : nullptr);
    }
}

// Queries begin..end-1 over the entries that are chosen for each, [end - begin, index_top_k].
void SequenceAttention::attend_chosen(const Sequence &sequence, int64_t begin, int64_t end,
                                      const int32_t *chosen) {
    const int64_t top_k = context_.shape.index_top_k, bytes = rows_bytes(top_k),
                  blocks = (row_count(top_k) + kLoadRows - 1) / kLoadRows;
    for (; begin < end; chosen += kGatherBatch * top_k, begin += kGatherBatch) {
        const int64_t count = std::min(kGatherBatch, end - begin);
        uint8_t *gathered = gathered_.get<uint8_t>(count * bytes);
        context_.each(count * blocks, [&](int64_t item) {
            gather(sequence, chosen + item / blocks * top_k, item % blocks * kLoadRows,
                   gathered + item / blocks * bytes);
        });
        std::vector<Query> queries;
        for (int64_t i = 0; i < count; i++)
            queries.push_back({&sequence, begin + i, gathered + i * bytes});
        attend(queries);
    }
}

// Attention of the queries from begin on, each over the entries that the indexer selects for it.
void SequenceAttention::attend_selected(const Sequence &sequence, int64_t begin) {
    const Shape &shape = context_.shape;
    const SequenceRows &rows = sequence.rows;
    const int64_t top_k = shape.index_top_k, last = rows.position + rows.count - 1,
                  index_width = int64_t(shape.index_heads) * shape.index_head_dim;
    const float *index_q =
        step_.in.index_q == nullptr ? nullptr : step_.in.index_q + rows.first_row * index_width;
    SelectionTrace record;
    for (int64_t t = begin; t < rows.count;) {
        // Index keys are decoded once for all queries whose scores fit in the budget together.
        const int64_t scored =
            std::min(rows.count, t + Indexer::queries_per_call(Indexer::visible(last)));
        int32_t *chosen = chosen_.get<int32_t>((scored - t) * top_k);
        indexer_.select({rows.position, rows.count, rows.first_row, index_q,
                         step_.in.index_weights + rows.first_row * shape.index_heads},
                        sequence.cache->index, t, scored, chosen);
        if (step_.trace != nullptr) {
            record.chosen.insert(record.chosen.end(), chosen, chosen + (scored - t) * top_k);
            if (scored == rows.count) {
                const float *scores = indexer_.scores(scored - t - 1);
                record.scores.assign(scores, scores + sequence.facts->visible_entries(last));
            }
        }
        attend_chosen(sequence, t, scored, chosen);
        t = scored;
    }
    if (step_.trace != nullptr && sequence.facts->has_indexer())
        record.write(*step_.trace, step_.layer, index_q, rows.count * index_width);
}

void SequenceAttention::attend_loaded() {
    std::vector<Query> queries;
    std::vector<int64_t> first_selecting;
    for (size_t i = first_; i < end_; i++) {
        const Sequence &sequence = sequences_[i];
        int64_t token = 0;
        for (; token < sequence.rows.count && !selects(sequence, sequence.rows.position + token);
             token++)
            queries.push_back({&sequence, token, nullptr});
        first_selecting.push_back(token);
    }
    attend(queries);
    for (size_t i = first_; i < end_; i++)
        attend_selected(sequences_[i], first_selecting[i - first_]);
}

void SequenceAttention::finish() {
    for (;;) {
        stage_loaded();
        attend_loaded();
        if (end_ == sequences_.size()) return;
        place_next();
        add_loads(true);
        context_.each(loads(), [&](int64_t item) { load(item); });
    }
}

} // namespace ds4::cpu
