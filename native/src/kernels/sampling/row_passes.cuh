// The passes over whole rows of logits, by blocks of kIdsPerBlock ids.
#pragma once
#include "kernels/sampling/row_weights.cuh"

namespace ds4::kernels {

constexpr int kPassThreads = 256;

struct PassShared {
    Fixed scratch[device::kWarp];
    double exponentials[kIdsPerBlock];
};

// The first pass: the range of the logits, and empty buckets.
__global__ void scan_logits_kernel(SampleParams p) {
    using namespace device;
    PassShared &shared = shared_memory<PassShared>();
    await_previous();
    let_next_begin();
    const SamplingRecord record = p.records[blockIdx.y];
    if (draw_of(record) == Draw::none) return;
    const RowScratch row = row_scratch(p, int(blockIdx.y));
    const Logits logits(p, record);
    for (int i = int(blockIdx.x * blockDim.x + threadIdx.x); i < kWeightBuckets;
         i += int(gridDim.x * blockDim.x))
        row.buckets[i] = 0;
    const int first = int(blockIdx.x) * kIdsPerBlock, end = min(p.vocab, first + kIdsPerBlock);
    Fixed best = 0;
    float smallest = __uint_as_float(0x7f800000u), raw_largest = __uint_as_float(0xff800000u);
    uint32_t finite = 0, raw_finite = 0;
    for (int id = first + int(threadIdx.x); id < end; id += kPassThreads) {
        const float logit = logits.values[id];
        if (!is_finite(logit)) continue;
        raw_largest = fmaxf(raw_largest, logit), raw_finite++;
        if (!logits.allows(id)) continue;
        const Fixed key = best_key(logit, id);
        best = key > best ? key : best;
        smallest = fminf(smallest, logit), finite++;
    }
    auto *floats = reinterpret_cast<float *>(shared.scratch);
    auto *words = reinterpret_cast<uint32_t *>(shared.scratch);
    const auto most = [](auto a, auto b) { return a > b ? a : b; };
    const auto sum = [](uint32_t a, uint32_t b) { return a + b; };
    BlockFacts facts{};
    facts.best = block_reduce(best, shared.scratch, most);
    facts.smallest = block_reduce(smallest, floats, [](float a, float b) { return fminf(a, b); });
    facts.raw_largest = block_reduce(raw_largest, floats, most);
    facts.finite = block_reduce(finite, words, sum);
    facts.raw_finite = block_reduce(raw_finite, words, sum);
    if (threadIdx.x == 0) row.facts[blockIdx.x] = facts;
}

// Weights of one block of ids: their sum, or their sums by buckets of distance.
__device__ __forceinline__ void weigh_block(const SampleParams &p, const SamplingRecord &record,
                                            const RowScratch &row, const Weigher &weigher,
                                            int first, int end, Fixed *scratch) {
    const Logits logits(p, record);
    const bool by_id = draw_of(record) == Draw::by_id;
    Fixed mine = 0;
    uint32_t cut = 0;
    for (int id = first + int(threadIdx.x); id < end; id += kPassThreads) {
        if (!logits.counts(id)) continue;
        const float logit = logits.values[id], weight = weigher.weight(logit);
        const bool is_below = weight < record.min_p;
        const Fixed fixed = to_fixed(weight);
        if (is_below) cut = max(cut, order_key(logit));
        if (by_id)
            mine += is_below ? 0 : fixed;
        else if (fixed != 0)
            atomicAdd(&row.buckets[weigher.bucket(logit)], fixed);
    }
    mine = block_reduce(mine, scratch, [](Fixed a, Fixed b) { return a + b; });
    cut = block_reduce(cut, reinterpret_cast<uint32_t *>(scratch),
                       [](uint32_t a, uint32_t b) { return a > b ? a : b; });
    if (threadIdx.x > 0) return;
    row.facts[blockIdx.x].weights = mine;
    row.facts[blockIdx.x].cut = cut;
}

// Exponentials of one block of ids, added in order as on the CPU.
__device__ __forceinline__ void add_exponentials(const float *logits, double largest, int first,
                                                 int end, const RowScratch &row,
                                                 double *exponentials) {
    for (int id = first + int(threadIdx.x); id < end; id += kPassThreads)
        exponentials[id - first] = is_finite(logits[id]) ? exp(double(logits[id]) - largest) : 0.0;
    __syncthreads();
    if (threadIdx.x > 0) return;
    double sum = 0.0;
    for (int i = 0; i < end - first; i++) sum += exponentials[i];
    row.facts[blockIdx.x].raw_sum = sum;
}

// The second pass: weights, where the record draws from all logits, and the sum of log-softmax.
__global__ void weigh_logits_kernel(SampleParams p) {
    using namespace device;
    PassShared &shared = shared_memory<PassShared>();
    await_previous();
    let_next_begin();
    const SamplingRecord record = p.records[blockIdx.y];
    const Draw draw = draw_of(record);
    const bool weighs = draw == Draw::by_id || draw == Draw::from_nucleus;
    if (draw == Draw::none || (!weighs && record.logprobs == 0)) return;
    const RowScratch row = row_scratch(p, int(blockIdx.y));
    const RowFacts facts(row, shared.scratch);
    const int first = int(blockIdx.x) * kIdsPerBlock, end = min(p.vocab, first + kIdsPerBlock);
    if (weighs && facts.best != 0)
        weigh_block(p, record, row, Weigher(facts.largest(), facts.smallest, record.temperature),
                    first, end, shared.scratch);
    if (record.logprobs != 0)
        add_exponentials(Logits(p, record).values, double(facts.raw_largest), first, end, row,
                         shared.exponentials);
}

} // namespace ds4::kernels
