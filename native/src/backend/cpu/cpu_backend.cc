#include "backend/cpu/cpu_backend.h"

#include <algorithm>
#include <cstring>
#include <thread>

#include "backend/cpu/blocks/attention.h"
#include "backend/cpu/blocks/hyper_connections.h"
#include "backend/cpu/blocks/moe.h"
#include "backend/cpu/context.h"
#include "backend/cpu/host_memory.h"
#include "ds4.h"
#include "experts/expert_placement.h"
#include "backend/cpu/packed_dense.h"
#include "backend/cpu/sequence.h"
#include "machine/usable_cores.h"
#include "backend/cpu/weights.h"
#include "base/fail.h"
#include "format/convert.h"
#include "format/row_defect.h"
#include "machine/instruction_sets.h"

namespace ds4::cpu {
namespace {

Isa chosen_isa(uint32_t requested) {
    const Isa isa = requested == DS4_ISA_GENERIC  ? Isa::generic
                    : requested == DS4_ISA_AVX2   ? Isa::avx2
                    : requested == DS4_ISA_AVX512 ? Isa::avx512
                                                  : machine::best_isa();
    if (!machine::has(isa))
        fail(DS4_ERR_ARGUMENT, "this CPU does not have %s; the best set here is %s", isa_name(isa),
             isa_name(machine::best_isa()));
    return isa;
}

// Starting a parallel region costs some microseconds, so small models run best on one thread.
int chosen_threads(int requested, const Shape &shape) {
    if (requested > 0) return requested;
    const int cores = machine::usable_cores();
    return shape.hidden < 1024 ? 1 : cores;
}

class CpuBackend : public Backend {
  public:
    CpuBackend(const Model &model, const EngineOptions &options);

    std::unique_ptr<SequenceState> open_sequence(uint32_t context_tokens) override;
    void step(std::span<const SequenceStep> sequences, float *logits, Trace *trace) override;
    std::string describe() const override;

  private:
    struct StepRows {
        std::vector<SequenceRows> sequences;
        std::vector<int32_t> tokens, logits_rows;
    };
    StepRows gather(std::span<const SequenceStep> sequences) const;
    void embed(const StepRows &rows, float *streams) const;
    StepAngles make_angles(const StepRows &rows);
    void run_layer(int layer, const StepRows &rows, const StepAngles &angles, float *streams,
                   Trace *trace);
    void head(const StepRows &rows, const float *streams, float *logits, Trace *trace);

    const Model &model_;
    Weights weights_;
    ThreadPool pool_;
    std::shared_ptr<PagePool> pages_;
    FirstUse first_use_;
    Workspace workspace_;
    Context context_; // knows the workspace before blocks take buffers of it
    ExpertPlacement experts_;
    PackedDense dense_;
    HyperConnections mixing_;
    Attention attention_;
    Moe moe_;
    Buffer streams_{&workspace_}, x_{&workspace_}, sublayer_{&workspace_}, post_{&workspace_},
        comb_{&workspace_}, window_angles_{&workspace_}, compressed_angles_{&workspace_},
        head_{&workspace_}, head_forms_{&workspace_};
};

CacheLayout cache_layout(const Shape &shape, const EngineOptions &options) {
    const bool plain = options.numerics == DS4_NUMERICS_PLAIN;
    const auto storage = [&](uint32_t off) {
        return plain || (options.switches & off) != 0 ? RowStorage::f32 : RowStorage::packed;
    };
    return {shape,
            {shape.head_dim, shape.rope_dim, storage(DS4_SWITCH_NO_KV_ROUNDING)},
            {shape.index_head_dim, storage(DS4_SWITCH_NO_INDEX_ROUNDING)}};
}

Context make_context(const Model &model, const EngineOptions &options, ThreadPool &pool,
                     Workspace &workspace) {
    const Shape &shape = model.shape();
    const Isa isa = chosen_isa(options.isa);
    const bool fast = options.numerics == DS4_NUMERICS_FAST &&
                      (options.switches & DS4_SWITCH_F32_ACTIVATIONS) == 0;
    return Context{shape,
                   pool,
                   isa,
                   vector_kernels(isa),
                   cache_kernels(isa),
                   fast ? Precision::int8 : Precision::f32,
                   (options.switches & DS4_SWITCH_NO_SHARED_CLAMP) == 0,
                   cache_layout(shape, options),
                   Rope(shape, false),
                   Rope(shape, true),
                   nullptr,
                   nullptr,
                   &workspace};
}

CpuBackend::CpuBackend(const Model &model, const EngineOptions &options)
    : model_(model), weights_(model), pool_(chosen_threads(options.threads, model.shape())),
      first_use_(pool_, model.shape().layers, model.shape().experts),
      context_(make_context(model, options, pool_, workspace_)), mixing_(context_),
      attention_(context_), moe_(context_) {
    pages_ = host_pages(context_.cache);
    context_.first_use = &first_use_;
    // Where the caller named no instruction set, the expert library measures and chooses its own.
    const char *isa = options.isa == DS4_ISA_AUTO ? "auto" : isa_name(context_.isa);
    const char *numerics = context_.precision == Precision::int8 ? "int8" : "f32";
    experts_ = place_experts({model, options.experts, context_.cache}, {isa, numerics, pool_});
    context_.packed = experts_.packed.get();
    dense_.pack(weights_, model.files(), pool_,
                {context_.isa, context_.precision,
                 (options.switches & DS4_SWITCH_MAPPED_DENSE) == 0,
                 session_bytes({model, options.experts, context_.cache})});
    model.check_files(); // packing has read the weights
}

std::unique_ptr<SequenceState> CpuBackend::open_sequence(uint32_t context_tokens) {
    if (context_tokens < 1 || context_tokens > context_.shape.context_tokens)
        fail(DS4_ERR_ARGUMENT, "context_tokens is %u; this model allows 1..%u", context_tokens,
             context_.shape.context_tokens);
    return std::make_unique<Sequence>(pages_, context_tokens);
}

CpuBackend::StepRows CpuBackend::gather(std::span<const SequenceStep> sequences) const {
    StepRows rows;
    for (const SequenceStep &in : sequences) {
        auto *sequence = static_cast<Sequence *>(in.state);
        const int64_t first = int64_t(rows.tokens.size());
        rows.sequences.push_back(
            {sequence, first, int64_t(in.count), int64_t(sequence->position())});
        rows.tokens.insert(rows.tokens.end(), in.tokens, in.tokens + in.count);
        if (in.logits == DS4_LOGITS_LAST) rows.logits_rows.push_back(int32_t(first + in.count - 1));
        if (in.logits == DS4_LOGITS_ALL)
            for (uint32_t t = 0; t < in.count; t++) rows.logits_rows.push_back(int32_t(first + t));
    }
    return rows;
}

void CpuBackend::embed(const StepRows &rows, float *streams) const {
    const Matrix &table = weights_.embedding;
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

StepAngles CpuBackend::make_angles(const StepRows &rows) {
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

void CpuBackend::run_layer(int layer, const StepRows &rows, const StepAngles &angles,
                           float *streams, Trace *trace) {
    const Shape &shape = context_.shape;
    const LayerWeights &w = weights_.layers[size_t(layer)];
    first_use_.layer(layer, w);
    const int64_t count = int64_t(rows.tokens.size()), hidden = shape.hidden;
    float *x = x_.get<float>(count * hidden), *y = sublayer_.get<float>(count * hidden);
    float *post = post_.get<float>(count * shape.streams),
          *comb = comb_.get<float>(count * shape.streams * shape.streams);
    const auto enter = [&](const MixWeights &mix, const Floats &norm, const char *name) {
        mixing_.collapse(mix, streams, count, x, post, comb);
        context_.each(count, [&](int64_t t) {
            rms_norm(context_.vectors, x + t * hidden, norm.data(), x + t * hidden, hidden,
                     shape.norm_epsilon);
        });
        if (trace == nullptr) return;
        const std::string prefix = name;
        trace->put((prefix + "_in").c_str(), layer, x, count * hidden);
        trace->put((prefix + "_post").c_str(), layer, post, count * shape.streams);
        trace->put((prefix + "_comb").c_str(), layer, comb, count * shape.streams * shape.streams);
    };
    enter(w.attention_mix, w.attention_norm, "attn");
    attention_.run(layer, w, rows.sequences, angles, x, count, y, trace);
    if (trace != nullptr) trace->put("attn_out", layer, y, count * hidden);
    mixing_.expand(y, post, comb, count, streams);
    if (trace != nullptr) trace->put("mid_streams", layer, streams, count * shape.hc_width());
    enter(w.ffn_mix, w.ffn_norm, "ffn");
    moe_.run(layer, w, rows.tokens.data(), x, count, y, trace);
    if (trace != nullptr) trace->put("ffn_out", layer, y, count * hidden);
    mixing_.expand(y, post, comb, count, streams);
    if (trace != nullptr) trace->put("streams", layer, streams, count * shape.hc_width());
}

void CpuBackend::head(const StepRows &rows, const float *streams, float *logits, Trace *trace) {
    const int64_t count = int64_t(rows.logits_rows.size()), hidden = context_.shape.hidden;
    if (count == 0) return;
    first_use_.output(weights_.output);
    float *x = head_.get<float>(count * hidden);
    mixing_.collapse_head(weights_.output_mix, streams, rows.logits_rows.data(), count, x);
    if (trace != nullptr) trace->put("hc_head", std::vector<float>(x, x + count * hidden));
    context_.each(count, [&](int64_t t) {
        rms_norm(context_.vectors, x + t * hidden, weights_.output_norm.data(), x + t * hidden,
                 hidden, context_.shape.norm_epsilon);
    });
    if (trace != nullptr) trace->put("hidden", std::vector<float>(x, x + count * hidden));
    const Activations input = prepare_activations(
        context_.pool, context_.isa, x, count, hidden, context_.precision,
        head_forms_.get<uint8_t>(int64_t(activation_bytes(count, hidden, context_.precision))));
    const Product product{weights_.output, &input, nullptr, count, logits, context_.shape.vocab};
    multiply(context_.pool, context_.isa, {&product, 1});
}

void CpuBackend::step(std::span<const SequenceStep> sequences, float *logits, Trace *trace) {
    model_.check_files();
    const StepRows rows = gather(sequences);
    for (const SequenceRows &sequence : rows.sequences)
        sequence.sequence->reserve(uint32_t(sequence.count));
    float *streams = streams_.get<float>(int64_t(rows.tokens.size()) * context_.shape.hc_width());
    embed(rows, streams);
    const StepAngles angles = make_angles(rows);
    const auto all_cancelled = [&] {
        return std::all_of(sequences.begin(), sequences.end(),
                           [](const SequenceStep &s) { return s.cancel.cancelled(); });
    };
    for (int layer = 0; layer < context_.shape.layers; layer++) {
        if (all_cancelled())
            fail(DS4_ERR_CANCELLED, "the step was cancelled at layer %d of %d", layer,
                 context_.shape.layers);
        run_layer(layer, rows, angles, streams, trace);
    }
    head(rows, streams, logits, trace);
    if (all_cancelled()) fail(DS4_ERR_CANCELLED, "the step was cancelled after its last layer");
    model_.check_files(); // some weights may have been read as zeros
    for (size_t i = 0; i < sequences.size(); i++)
        rows.sequences[i].sequence->commit(sequences[i].tokens, sequences[i].count);
    workspace_.end_step();
}

std::string CpuBackend::describe() const {
    return std::string("\"backend\":\"cpu\",\"isa\":\"") + isa_name(context_.isa) +
           "\",\"threads\":" + std::to_string(pool_.threads()) + ",\"activations\":\"" +
           (context_.precision == Precision::int8 ? "int8" : "f32") +
           "\",\"cache_bytes\":" + std::to_string(pages_->bytes()) +
           ",\"workspace_bytes\":" + std::to_string(workspace_.bytes()) +
           ",\"dense\":" + dense_.describe() + ",\"experts\":" + experts_.describe();
}

} // namespace

std::unique_ptr<Backend> open_cpu_backend(const Model &model, const EngineOptions &options) {
    return std::make_unique<CpuBackend>(model, options);
}

std::string plan_cpu_backend(const Model &model, const EngineOptions &options) {
    chosen_isa(options.isa);
    return plan_experts({model, options.experts, cache_layout(model.shape(), options)});
}

} // namespace ds4::cpu
