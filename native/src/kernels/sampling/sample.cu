#include <algorithm>

#include "base/fail.h"
#include "device/launch.h"
#include "kernels/sampling/draw.cuh"
#include "kernels/sampling/row_passes.cuh"
#include "kernels/sampling/sampling.h"

namespace ds4::kernels {
namespace {

using namespace ds4::device;

// The id that the record takes; -1 with a status if there is none.
__device__ __forceinline__ int take_id(const SampleParams &p, const SamplingRecord &record,
                                       const RowScratch &row, const RowFacts &facts, DrawShared &s,
                                       int32_t &status) {
    const Draw draw = draw_of(record);
    if (draw == Draw::forced) {
        if (record.forced < p.vocab) return record.forced;
        status = DS4_ERR_ARGUMENT;
        return -1;
    }
    if (facts.best == 0) {
        status = DS4_ERR_INTERNAL;
        return -1;
    }
    if (draw == Draw::greedy) return facts.best_id();
    const Drawer drawer(p, record, row, facts, s);
    if (draw == Draw::from_top) return drawer.from_top();
    return draw == Draw::by_id ? drawer.by_id() : drawer.from_nucleus();
}

// Log-softmax of the raw logits, for the token and the likeliest ones.
__device__ __forceinline__ void write_log_softmax(const SampleParams &p,
                                                  const SamplingRecord &record,
                                                  const RowScratch &row, const RowFacts &facts,
                                                  int id, DrawShared &s, ds4_job_token &out) {
    const float *logits = Logits(p, record).values;
    double sum = 0.0;
    for (int block = 0; block < row.blocks; block++) sum += row.facts[block].raw_sum;
    const double log_sum = double(facts.raw_largest) + log(sum);
    if (threadIdx.x == 0) out.logprob = float(double(logits[id]) - log_sum);
    const uint32_t count = min(min(record.top_logprobs, kMaxTopLogprobs), facts.raw_finite);
    if (count == 0) return;
    const auto key = [&](int i) { return is_finite(logits[i]) ? order_key(logits[i]) : 0u; };
    sort_first(key, p.vocab, int(count), s);
    if (threadIdx.x == 0) out.top_count = count;
    if (threadIdx.x >= count) return;
    const int top = int(uint32_t(s.keys[threadIdx.x]));
    out.top_ids[threadIdx.x] = top;
    out.top_logprobs[threadIdx.x] = float(double(logits[top]) - log_sum);
}

// A block a record.
__global__ void __launch_bounds__(kTopThreads, 1) draw_kernel(SampleParams p) {
    DrawShared &shared = shared_memory<DrawShared>();
    await_previous();
    let_next_begin();
    const int index = int(blockIdx.x);
    const SamplingRecord &record = p.records[index];
    SampledToken &out = p.out[index];
    for (int i = int(threadIdx.x); i < int(sizeof(SampledToken) / 4); i += kTopThreads)
        reinterpret_cast<uint32_t *>(&out)[i] = 0;
    __syncthreads();
    int id = -1;
    int32_t status = DS4_OK;
    if (record.row >= 0) {
        const RowScratch row = row_scratch(p, index);
        const RowFacts facts(row, shared.scratch);
        id = take_id(p, record, row, facts, shared, status);
        if (id >= 0 && record.logprobs != 0)
            write_log_softmax(p, record, row, facts, id, shared, out.token);
    }
    if (threadIdx.x > 0) return;
    out.token.id = id, out.status = status;
    if (p.ids != nullptr) p.ids[index] = id;
}

} // namespace

SamplingRecord sampling_record(const SamplingControl &control, int32_t row, const uint32_t *mask) {
    SamplingRecord record;
    record.row = control.samples ? row : -1;
    record.forced = control.forced, record.is_greedy = control.greedy ? 1 : 0;
    record.logprobs = control.logprobs ? 1 : 0, record.top_logprobs = control.top_logprobs;
    record.uniform = control.uniform, record.temperature = control.temperature;
    record.top_p = control.top_p, record.min_p = control.min_p, record.top_k = control.top_k;
    record.mask = mask;
    return record;
}

int64_t sample_scratch(int32_t count, int32_t vocab) { return count * row_scratch_bytes(vocab); }

void sample(const SampleParams &params, device::Stream &stream) {
    constexpr int kMostRecords = 65535; // blocks along y
    if (params.vocab < 1 || params.count < 0 || params.count > kMostRecords)
        fail(DS4_ERR_ARGUMENT, "%d records over %d logits; expected at most %d, and some logits",
             params.count, params.vocab, kMostRecords);
    if (params.count == 0) return;
    const LaunchShape passes{.blocks = (params.vocab + kIdsPerBlock - 1) / kIdsPerBlock,
                             .blocks_y = params.count,
                             .threads = kPassThreads,
                             .shared_bytes = sizeof(PassShared),
                             .after_trigger = true};
    launch(scan_logits_kernel, passes, stream, params);
    launch(weigh_logits_kernel, passes, stream, params);
    launch(draw_kernel,
           {.blocks = params.count,
            .threads = kTopThreads,
            .shared_bytes = sizeof(DrawShared),
            .after_trigger = true},
           stream, params);
}

} // namespace ds4::kernels
