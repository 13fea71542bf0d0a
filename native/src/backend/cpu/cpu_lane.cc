#include "backend/cpu/cpu_lane.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/sequence.h"
#include "base/fail.h"
#include "ds4.h"
#include "format/convert.h"
#include "format/row_defect.h"

namespace ds4::cpu {

using Clock = std::chrono::steady_clock;

struct CpuLane::Breath : Interlude {
    const StepInterest &interest;
    Turns *turns; // null: never gives way
    int layers;
    Clock::duration away{};

    Breath(const StepInterest &interest, Turns *turns, int layers)
        : interest(interest), turns(turns), layers(layers) {}
    void check(int layer) const {
        if (interest.is_cancelled())
            fail(DS4_ERR_CANCELLED, "the step was cancelled at layer %d of %d", layer, layers);
    }
    void between_regions() override {
        if (turns != nullptr) away += turns->give_way();
    }
};

static Context with_workspace(Context context, Workspace &workspace) {
    context.workspace = &workspace;
    return context;
}

CpuLane::CpuLane(Lane lane, const LaneMeans &means)
    : lane_(lane), means_(means), context_(with_workspace(means.context, workspace_)),
      mixing_(context_), attention_(context_), moe_(context_), sampler_(&context_.pool) {}

CpuLane::StepRows CpuLane::gather(const StepPlan &plan, std::span<const int32_t> tokens) const {
    StepRows rows;
    rows.tokens = tokens;
    int64_t first = 0;
    for (const StepSequence &in : plan.sequences) {
        auto *sequence = static_cast<Sequence *>(in.state);
        rows.sequences.push_back(
            {sequence, first, int64_t(in.count), int64_t(sequence->position())});
        const auto want = [&](uint32_t row, bool sampled) {
            rows.logits_rows.push_back(int32_t(first) + int32_t(row));
            rows.is_sampled.push_back(sampled ? 1 : 0);
        };
        if (in.logits == DS4_LOGITS_LAST) want(in.count - 1, false);
        for (uint32_t t = 0; in.logits == DS4_LOGITS_ALL && t < in.count; t++) want(t, false);
        if (in.samples) want(in.count - 1, true);
        first += in.count;
    }
    return rows;
}

void CpuLane::embed(const StepRows &rows, float *streams) const {
    const Matrix &table = means_.weights.embedding;
    const int64_t hidden = context_.shape.hidden,
                  row = int64_t(row_bytes(table.type, uint64_t(table.cols)));
    context_.each(int64_t(rows.tokens.size()), [&](int64_t t) {
        const int64_t token = rows.tokens[size_t(t)];
        const uint8_t *scales = table.type == DS4_TYPE_F8_E4M3
                                    ? table.scales + token / 128 * ((hidden + 127) / 128)
                                    : nullptr;
        if (const char *defect = row_defect(table.type, table.data + token * row, scales, hidden))
            fail(DS4_ERR_FORMAT, "token_embd.weight, row %lld: %s; the file is damaged",
                 (long long)token, defect);
        float *first = streams + t * context_.shape.hc_width();
        decode_row(table.type, table.data + token * row, scales, first, hidden);
        for (int k = 1; k < context_.shape.streams; k++)
            std::memcpy(first + k * hidden, first, size_t(hidden) * 4);
    });
}

StepAngles CpuLane::make_angles(const StepRows &rows) {
    const int64_t count = int64_t(rows.tokens.size()), rotary = context_.shape.rope_dim;
    float *window = window_angles_.get<float>(count * rotary),
          *compressed = compressed_angles_.get<float>(count * rotary);
    for (const SequenceRows &sequence : rows.sequences)
        context_.each(sequence.count, [&](int64_t t) {
            const int64_t row = sequence.first_row + t;
            context_.window_rope.angles(uint32_t(sequence.position + t), window + row * rotary);
            context_.compressed_rope.angles(uint32_t(sequence.position + t),
                                            compressed + row * rotary);
        });
    return {window, compressed};
}

void CpuLane::run_layer(int layer, const StepRows &rows, const StepAngles &angles, float *streams,
                        Trace *trace, Breath &breath) {
    const Shape &shape = context_.shape;
    const LayerWeights &w = means_.weights.layers[size_t(layer)];
    context_.first_use->layer(layer, w);
    const int64_t count = int64_t(rows.tokens.size()), hidden = shape.hidden;
    float *x = x_.get<float>(count * hidden), *y = sublayer_.get<float>(count * hidden);
    float *post = post_.get<float>(count * shape.streams),
          *comb = comb_.get<float>(count * shape.streams * shape.streams);
    const auto enter = [&](const MixWeights &mix, const Floats &norm, const char *name) {
        mixing_.collapse(mix, norm.data(), streams, count, {x, post, comb});
        if (trace == nullptr) return;
        const std::string prefix = name;
        trace->put((prefix + "_in").c_str(), layer, x, count * hidden);
        trace->put((prefix + "_post").c_str(), layer, post, count * shape.streams);
        trace->put((prefix + "_comb").c_str(), layer, comb, count * shape.streams * shape.streams);
    };
    // The streams take up a sublayer's output as it becomes final.
    const ChannelsDone expand = [&](int64_t row, int64_t begin, int64_t channels) {
        mixing_.expand_block(y, post, comb, row, begin, channels, streams);
    };
    enter(w.attention_mix, w.attention_norm, "attn");
    attention_.run(layer, w, rows.sequences, angles, x, count, y, trace, expand);
    if (trace != nullptr) trace->put("attn_out", layer, y, count * hidden);
    if (trace != nullptr) trace->put("mid_streams", layer, streams, count * shape.hc_width());
    breath.check(layer);
    enter(w.ffn_mix, w.ffn_norm, "ffn");
    moe_.run(layer, w, rows.tokens.data(), x, count, y, trace, expand);
    if (trace != nullptr) trace->put("ffn_out", layer, y, count * hidden);
    if (trace != nullptr) trace->put("streams", layer, streams, count * shape.hc_width());
}

void CpuLane::head(const StepRows &rows, const float *streams, float *logits, Trace *trace) {
    const int64_t count = int64_t(rows.logits_rows.size()), hidden = context_.shape.hidden;
    const Weights &weights = means_.weights;
    context_.first_use->output(weights.output);
    float *x = head_.get<float>(count * hidden);
    mixing_.collapse_head(weights.output_mix, streams, rows.logits_rows.data(), count, x);
    if (trace != nullptr) trace->put("hc_head", std::vector<float>(x, x + count * hidden));
    context_.each(count, [&](int64_t t) {
        rms_norm(context_.vectors, x + t * hidden, weights.output_norm.data(), x + t * hidden,
                 hidden, context_.shape.norm_epsilon);
    });
    if (trace != nullptr) trace->put("hidden", std::vector<float>(x, x + count * hidden));
    const Activations input = prepare_activations(
        context_.pool, context_.isa, x, count, hidden, context_.precision,
        head_forms_.get<uint8_t>(int64_t(activation_bytes(count, hidden, context_.precision))));
    const Product product{weights.output, &input, nullptr, count, logits, context_.shape.vocab};
    multiply(context_.pool, context_.isa, {&product, 1});
}

void CpuLane::run(const StepPlan &plan, const StepRows &rows, Trace *trace, Breath &breath) {
    for (const SequenceRows &sequence : rows.sequences)
        sequence.sequence->reserve(uint32_t(sequence.count));
    float *streams = streams_.get<float>(int64_t(rows.tokens.size()) * context_.shape.hc_width());
    embed(rows, streams);
    const StepAngles angles = make_angles(rows);
    for (int layer = 0; layer < context_.shape.layers; layer++) {
        breath.check(layer);
        run_layer(layer, rows, angles, streams, trace, breath);
    }
    sampled_rows_.clear();
    if (!rows.logits_rows.empty()) {
        const size_t vocab = size_t(context_.shape.vocab);
        const bool samples = plan.sampled_rows() > 0;
        float *logits = plan.logits;
        if (samples) logits = logits_.get<float>(int64_t(rows.logits_rows.size() * vocab));
        head(rows, streams, logits, trace);
        float *out = plan.logits;
        for (size_t row = 0; samples && row < rows.is_sampled.size(); row++) {
            if (rows.is_sampled[row] != 0)
                sampled_rows_.push_back(int32_t(row));
            else
                out = std::copy_n(logits + row * vocab, vocab, out);
        }
    }
    breath.check(context_.shape.layers);
}

uint64_t CpuLane::evaluate(const StepPlan &plan, std::span<const int32_t> tokens,
                           const StepInterest &interest) {
    const TraceSlot::Use trace(plan.trace);
    take_turn();
    check_pages(means_.model.files());
    const Clock::time_point begin = Clock::now();
    Breath breath(interest, lane_ == Lane::prefill ? means_.turns : nullptr, context_.shape.layers);
    const Interlude::Scope scope(&breath);
    const StepRows rows = gather(plan, tokens);
    run(plan, rows, trace.get(), breath);
    check_pages(means_.model.files()); // some weights may have been read as zeros
    return uint64_t(
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin - breath.away)
            .count());
}

void CpuLane::take_turn() {
    if (means_.turns == nullptr || has_turn_) return;
    means_.turns->take(lane_);
    has_turn_ = true;
}

void CpuLane::give_turn_back() noexcept {
    if (has_turn_) means_.turns->give_back(lane_);
    has_turn_ = false;
}

void CpuLane::pause() noexcept { give_turn_back(); }

void CpuLane::sample(std::span<const SamplingControl> records, std::span<ds4_job_token> out) {
    take_turn();
    const size_t vocab = size_t(context_.shape.vocab);
    const float *logits = logits_.get<float>(0); // as the step left them
    for (size_t i = 0; i < records.size(); i++) {
        if (records[i].samples) {
            out[i] =
                sampler_.sample({logits + size_t(sampled_rows_[i]) * vocab, vocab}, records[i]);
        } else {
            out[i] = {};
            out[i].id = -1;
        }
    }
}

void CpuLane::leave() noexcept {
    workspace_.end_step();
    give_turn_back();
}

void CpuLane::rest() noexcept { workspace_.release(); }

void CpuLane::commit(const StepPlan &plan, std::span<const int32_t> tokens,
                     std::span<const uint32_t> kept) {
    size_t first = 0;
    for (size_t i = 0; i < plan.sequences.size(); i++) {
        static_cast<Sequence *>(plan.sequences[i].state)->commit(tokens.data() + first, kept[i]);
        first += plan.sequences[i].count;
    }
}

} // namespace ds4::cpu
