// Buffers of one forward pass, by part. They grow between passes, never during one. Memory that the
// last few thousand passes did not need is given back.
#pragma once
#include <atomic>
#include <deque>
#include <vector>

#include "experts/forward/forward_plan.h"
#include "pool/memory.h"
#include "pool/worker_pool.h"

namespace ds4::ktb {

constexpr int kDownTokens = 64; // of one down panel in the grouped form, whose sums stay in L1

struct PartBuffers {
    uint8_t *inputs = nullptr; // [tokens, H/32] prepared groups
    // fused: [part rows, H]; grouped: [2][nodes, routes, strip columns], used in turn
    float *sums = nullptr;
    // grouped form
    uint8_t *intermediate = nullptr;       // [routes, slices, slice groups] prepared groups of h
    float *intermediate_f32 = nullptr;     // [routes, slices, slice channels] f32, fp8ref only
    uint8_t *block_inputs = nullptr;       // [blocks, H/32] groups of 16 tokens (tile_kernels.h)
    uint8_t *block_intermediate = nullptr; // [blocks, slices * slice groups] groups of 16 tokens
};

struct WorkerBuffers {
    float *panel = nullptr; // [kPanelTokens, 64] f32; with tile kernels kTileSumFloats
    // [kPanelTokens, slice channels] f32; fused with fp8ref: [kFusedTokens, chunk channels]
    float *intermediate = nullptr;
    uint8_t *scratch = nullptr;
    uint8_t *group = nullptr; // fused: [kFusedTokens, slices, slice groups] prepared groups
    // Sums that are not added up yet: [levels, kInOrderTokens, H]. Those of row tiles are
    // [levels + 1, kDownTokens, 64].
    float *nodes = nullptr;
};

class Workspace {
  public:
    // Throws KTB_ERR_MEMORY. Buffers of a pass are valid until the next call.
    void prepare(const WorkerPool &pool, const ForwardPlan &plan, HugePages huge);
    const PartBuffers &part(int index) const { return parts_[size_t(index)]; }
    const WorkerBuffers &worker(int global_index) const { return workers_[size_t(global_index)]; }
    uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); } // from any thread
    struct alignas(64) Counter {
        std::atomic<int> next{0};
    };
    // Counter 0 counts units of the first phase, counter 1 + strip those of a strip. All are 0 at
    // the start of a pass.
    Counter &counter(int part, int index) {
        return counters_[size_t(part) * size_t(counters_of_part_) + size_t(index)];
    }

  private:
    void review();
    size_t carve(const WorkerPool &pool, const ForwardPlan &plan, int part, int first_worker,
                 uint8_t *base);
    void count();
    std::vector<Mapping> memory_; // per part
    std::atomic<uint64_t> bytes_{0};
    std::vector<PartBuffers> parts_;
    std::vector<WorkerBuffers> workers_;
    std::deque<Counter> counters_;
    int counters_of_part_ = 0;
    std::vector<size_t> peaks_; // per part, the most that a pass since the last review needed
    int passes_ = 0;
};

} // namespace ds4::ktb
