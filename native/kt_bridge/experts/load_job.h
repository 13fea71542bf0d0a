// Packs the experts of one or more layers into their arenas on the engine's workers. A worker takes one expert at a
// time, reads it in pieces that stay in cache, and writes the slices of every part.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "experts/job.h"
#include "experts/layer.h"
#include "experts/source.h"

namespace ds4::ktb {

struct LoadProgress {
    std::atomic<uint64_t> done_bytes{0};
    std::atomic<uint64_t> total_bytes{0};
};

class LoadJob : public Job {
  public:
    struct Item {
        Layer *layer;
        std::shared_ptr<const ExpertSource> source;
    };
    // One step per layer when `serial`, else one for all.
    LoadJob(WorkerPool &pool, HugePages huge, std::vector<Item> items, bool serial, LoadProgress &progress);
    bool next(WorkerPool::Step &step) override;
    void finish(int code) override;

  private:
    void allocate();
    void work(const Worker &worker);
    void pack_expert(const Item &item, int expert, uint8_t *staging);
    void pack_inputs(const Item &item, int expert, uint8_t *staging);
    void pack_down(const Item &item, int expert, uint8_t *staging);
    void check_scales(const Item &item, int expert, int matrix, int begin, const uint8_t *scales, size_t count);
    size_t staging_bytes() const;

    WorkerPool &pool_;
    HugePages huge_;
    std::vector<Item> items_;
    bool serial_;
    LoadProgress &progress_;
    size_t begin_ = 0, end_ = 0; // items of the running step
    bool allocated_ = false;
    std::atomic<int> next_unit_{0};
    std::atomic<bool> failed_{false};
    std::mutex error_lock_;
    int error_code_ = 0;
    std::string error_;
};

} // namespace ds4::ktb
