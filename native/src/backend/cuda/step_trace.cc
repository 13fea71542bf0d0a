#include "backend/cuda/step_trace.h"

#include <vector>

#include "backend/cuda/cuda_sequence.h"

namespace ds4::cuda {

template <typename T> std::vector<T> StepTrace::values_of(const T *device, int64_t count) {
    std::vector<T> values(static_cast<size_t>(count));
    stream_.to_host(values.data(), device, uint64_t(count) * sizeof(T));
    stream_.wait();
    return values;
}

void StepTrace::put(int layer, const std::string &name, std::vector<float> values) {
    trace_->put("layer" + std::to_string(layer) + "." + name, std::move(values));
}

void StepTrace::put(int layer, const std::string &name, const float *device, int64_t count) {
    put(layer, name, values_of(device, count));
}

void StepTrace::put_entry(int layer, const std::string &name) {
    if (trace_ == nullptr) return;
    const int64_t rows = extent_.rows, streams = context_.shape.streams;
    put(layer, name + "_in", b_.x.values, rows * context_.shape.hidden);
    put(layer, name + "_post", b_.post, rows * streams);
    put(layer, name + "_comb", b_.comb, rows * streams * streams);
}

void StepTrace::put_attention(int layer) {
    if (trace_ == nullptr) return;
    put(layer, "attn_out", b_.sublayer, int64_t(extent_.rows) * context_.shape.hidden);
    const LayerShape &facts = context_.shape.layer[size_t(layer)];
    if (facts.compress_ratio != 0) put_compressed(layer);
    if (facts.has_indexer()) put_selection(layer);
}

// The entries of the rows that see more than they may keep, and the scores of the last row.
void StepTrace::put_selection(int layer) {
    const Shape &shape = context_.shape;
    const LayerShape &facts = shape.layer[size_t(layer)];
    std::vector<float> chosen, scores;
    int32_t row = 0;
    for (const StepSequence &sequence : plan_.sequences)
        for (uint32_t t = 0; t < sequence.count; t++, row++) {
            const int64_t seen =
                visible(int64_t(sequence.state->position()) + t, facts.compress_ratio);
            if (seen <= shape.index_top_k) continue;
            const std::vector<int32_t> ids =
                values_of(b_.chosen + int64_t(row) * shape.index_top_k, shape.index_top_k);
            chosen.insert(chosen.end(), ids.begin(), ids.end());
            if (row + 1 < extent_.rows) continue;
            const int64_t most = visible(extent_.last_position, facts.compress_ratio),
                          stride = (most + 3) / 4 * 4;
            scores = values_of<float>(b_.scores + row % b_.score_rows * stride, seen);
        }
    put(layer, "index_selected", std::move(chosen));
    put(layer, "index_scores", std::move(scores));
}

// The entries that the step has closed.
void StepTrace::put_compressed(int layer) {
    const KvRowFormat &format = context_.cache.kv;
    const int ratio = context_.shape.layer[size_t(layer)].compress_ratio;
    for (const StepSequence &in : plan_.sequences) {
        const auto &sequence = static_cast<const Sequence &>(*in.state);
        const int64_t begin = sequence.position() / ratio,
                      end = (sequence.position() + int64_t(in.count)) / ratio;
        std::vector<float> entries(size_t((end - begin) * format.channels));
        for (int64_t i = begin; i < end; i++) {
            const std::vector<uint8_t> row =
                values_of(sequence.compressed_row(layer, i), format.bytes());
            format.decode(row.data(), entries.data() + (i - begin) * format.channels);
        }
        put(layer, "compressed", std::move(entries));
    }
}

void StepTrace::put_experts(int layer) {
    if (trace_ == nullptr) return;
    const Shape &shape = context_.shape;
    const int64_t rows = extent_.rows, lines = rows * shape.experts_per_token;
    put(layer, "ffn_out", b_.sublayer, rows * shape.hidden);
    const std::vector<int32_t> ids = values_of<int32_t>(b_.route_ids, lines);
    put(layer, "route_ids", std::vector<float>(ids.begin(), ids.end()));
    put(layer, "route_weights", b_.route_weights, lines);
    put(layer, "route_logits", b_.router_logits, rows * shape.experts);
}

void StepTrace::put_streams(int layer, const std::string &name) {
    if (trace_ != nullptr)
        put(layer, name, b_.streams, int64_t(extent_.rows) * context_.shape.hc_width());
}

void StepTrace::put_head() {
    if (trace_ == nullptr || extent_.logits_rows == 0) return;
    const int64_t count = int64_t(extent_.logits_rows) * context_.shape.hidden;
    trace_->put("hc_head", values_of(b_.head_collapsed, count));
    trace_->put("hidden", values_of(b_.head.values, count));
}

} // namespace ds4::cuda
