// Buffers of one forward pass, per part. Grown between passes, never during one.
#pragma once
#include <atomic>
#include <deque>
#include <vector>

#include "experts/plan.h"
#include "pool/memory.h"
#include "pool/worker_pool.h"

namespace ds4::ktb {

struct PartBuffers {
    uint8_t *inputs = nullptr;  // [tokens, H/32] prepared groups
    uint8_t *inner = nullptr;   // [routes, slices, slice groups] prepared groups of h
    float *sums = nullptr;      // [tokens, H] f32, sum of this part
    float *inner_f32 = nullptr; // [routes, slices, slice channels] f32, fp8ref only
    float *routes = nullptr;    // [routes, H] f32, fp8ref only
};

struct WorkerBuffers {
    float *outputs = nullptr; // [kFusedTokens, H] f32
    float *panel = nullptr;   // [kPanelTokens, 64] f32
    float *inner = nullptr;   // [kPanelTokens, slice channels] f32
    uint8_t *scratch = nullptr;
    uint8_t *group = nullptr; // [kFusedTokens, slice groups] prepared groups
};

class Workspace {
  public:
    // Throws KTB_ERR_MEMORY. Buffers of a pass are valid until the next call.
    void prepare(const WorkerPool &pool, const Plan &plan, HugePages huge);
    const PartBuffers &part(int index) const { return parts_[size_t(index)]; }
    const WorkerBuffers &worker(int global_index) const { return workers_[size_t(global_index)]; }
    uint64_t bytes() const;
    struct alignas(64) Counter {
        std::atomic<int> next{0};
    };
    Counter &counter(int part) { return counters_[size_t(part)]; } // 0 at the start of a pass

  private:
    std::vector<Mapping> memory_; // per part
    std::vector<PartBuffers> parts_;
    std::vector<WorkerBuffers> workers_;
    std::deque<Counter> counters_;
};

} // namespace ds4::ktb
