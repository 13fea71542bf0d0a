// Packs the experts of one or more layers on the engine's workers. The experts that each layer's
// source reads go into slots in their order. A worker takes one expert at a time and writes the
// slices of every part.
#pragma once
#include <atomic>
#include <memory>
#include <vector>

#include "pool/first_failure.h"
#include "pool/pool_job.h"
#include "experts/weights/expert_layer.h"
#include "experts/loading/expert_source.h"

namespace ds4::ktb {

struct LoadProgress {
    std::atomic<uint64_t> done_bytes{0};
    std::atomic<uint64_t> total_bytes{0};
};

class LoadJob : public PoolJob {
  public:
    struct Item {
        ExpertLayer *layer;
        std::shared_ptr<const ExpertSource> source;
    };
    // One step per layer when `serial`, else one for all.
    LoadJob(WorkerPool &pool, HugePages huge, std::vector<Item> items, bool serial,
            LoadProgress &progress);
    bool next(WorkerPool::Step &step) override;
    void queued() noexcept override;
    void finish(int code) override;

  private:
    void allocate();
    void work(const Worker &worker);
    void pack_expert(const Item &item, int slot, uint8_t *staging);
    size_t staging_bytes() const;

    WorkerPool &pool_;
    HugePages huge_;
    std::vector<Item> items_;
    bool serial_;
    LoadProgress &progress_;
    size_t begin_ = 0, end_ = 0; // items of the running step
    bool allocated_ = false;
    std::atomic<int> next_unit_{0};
    FirstFailure failure_;
};

} // namespace ds4::ktb
