#include "backend/cuda/cuda_lane.h"

#include <chrono>
#include <string>

#include "base/fail.h"
#include "ds4.h"
#include "kernels/cache_rows/cache_rows.h"

namespace ds4::cuda {

using Clock = std::chrono::steady_clock;

CudaLane::CudaLane(Lane lane, const Context &context)
    : context_(context), stream_(lane == Lane::decode ? device::Stream::Priority::high
                                                      : device::Stream::Priority::low) {}

void CudaLane::run_layer(int layer, Forward &forward, StepTrace &trace) {
    const LayerWeights &w = context_.weights->layers[size_t(layer)];
    forward.enter(w.attention_mix, w.attention_norm);
    trace.put_entry(layer, "attn");
    forward.attention(layer);
    trace.put_attention(layer);
    forward.leave();
    trace.put_streams(layer, "mid_streams");
    forward.enter(w.ffn_mix, w.ffn_norm);
    trace.put_entry(layer, "ffn");
    forward.experts(layer);
    trace.put_experts(layer);
    forward.leave();
    trace.put_streams(layer, "streams");
}

// Rows for the caller go to it; rows to be sampled stay on the GPU until their records come.
void CudaLane::collect_logits(const StepPlan &plan, const float *logits) {
    const size_t vocab = size_t(context_.shape.vocab);
    const std::vector<uint8_t> &is_sampled = inputs_.is_sampled();
    sampled_rows_.clear();
    logits_ = logits;
    float *out = plan.logits;
    for (size_t row = 0; row < is_sampled.size(); row++) {
        if (is_sampled[row] != 0) {
            sampled_rows_.push_back(int32_t(row));
            continue;
        }
        stream_.to_host(out, logits + row * vocab, vocab * sizeof(float));
        out += vocab;
    }
}

void CudaLane::run(const StepPlan &plan, Trace *trace, const StepInterest &interest) {
    const Shape &shape = context_.shape;
    const StepExtent extent{inputs_.table().rows, inputs_.logits_row_count(),
                            inputs_.last_position()};
    Arena measure;
    (void)StepBuffers(measure, context_, extent);
    if (workspace_.bytes() < measure.bytes()) {
        workspace_ = device::Memory(); // before the larger one is there
        workspace_ = device::Memory(measure.bytes());
        workspace_bytes_ = workspace_.bytes();
    }
    Arena arena(workspace_);
    const StepBuffers buffers(arena, context_, extent);
    Forward forward(context_, inputs_.table(), extent, buffers, stream_);
    StepTrace recorder(trace, context_, plan, extent, buffers, stream_);
    forward.embed();
    for (int layer = 0; layer < shape.layers; layer++) {
        if (interest.is_cancelled())
            fail(DS4_ERR_CANCELLED, "the step was cancelled at layer %d of %d", layer,
                 shape.layers);
        run_layer(layer, forward, recorder);
    }
    forward.head(inputs_.logits_rows());
    recorder.put_head();
    collect_logits(plan, buffers.logits);
}

uint64_t CudaLane::evaluate(const StepPlan &plan, std::span<const int32_t> tokens,
                            const StepInterest &interest) {
    const TraceSlot::Use trace(plan.trace);
    device::use(context_.ordinal);
    const Clock::time_point begin = Clock::now();
    try {
        inputs_.upload(plan, tokens, stream_);
        run(plan, trace.get(), interest);
        stream_.wait();
    } catch (...) {
        stream_.wait(); // kernels of the step still use its buffers
        throw;
    }
    return uint64_t(
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count());
}

void CudaLane::sample(std::span<const SamplingControl> records, std::span<ds4_job_token> out) {
    device::use(context_.ordinal);
    sampler_.sample(logits_, context_.shape.vocab, sampled_rows_, records, out, stream_);
}

void CudaLane::commit(const StepPlan &plan, std::span<const int32_t> tokens,
                      std::span<const uint32_t> kept) {
    device::use(context_.ordinal);
    for (size_t i = 0; i < plan.sequences.size(); i++)
        static_cast<Sequence *>(plan.sequences[i].state)
            ->check_kept(plan.sequences[i].count, kept[i]);
    kernels::commit_rows({inputs_.table(), inputs_.upload_kept(kept, stream_), context_.rings,
                          int32_t(context_.recent.rings.size())},
                         stream_);
    stream_.wait();
    size_t first = 0;
    for (size_t i = 0; i < plan.sequences.size(); i++) {
        static_cast<Sequence *>(plan.sequences[i].state)->advance(tokens.data() + first, kept[i]);
        first += plan.sequences[i].count;
    }
}

} // namespace ds4::cuda
