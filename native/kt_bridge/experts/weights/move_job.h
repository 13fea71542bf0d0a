// Puts another expert into a slot between two forwards. A first step reads and checks the matrices
// on all workers, and a second one packs them. So everything that may be wrong is found before the
// first byte of the slot is written.
#pragma once
#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "experts/loading/expert_packer.h"
#include "pool/first_failure.h"
#include "pool/pool_job.h"
#include "experts/weights/expert_layer.h"

namespace ds4::ktb {

class MoveJob : public PoolJob {
  public:
    // source: reads one expert, which enters the slot of `leaving`; they may be the same. The layer
    // must be the only holder of its weights (see ExpertLayer), which is checked when the job's
    // turn comes.
    MoveJob(const WorkerPool &pool, ExpertLayer &layer, int leaving,
            std::shared_ptr<const ExpertSource> source);
    bool next(WorkerPool::Step &step) override;
    void queued() noexcept override { layer_.pending.fetch_add(1); }
    void finish(int code) override;

  private:
    enum class Stage { waiting, checking, packing, done };
    void begin();
    void open_slot();
    void close_slot();
    void work(const Worker &worker);

    ExpertLayer &layer_;
    int leaving_, entering_;
    std::shared_ptr<const ExpertSource> source_;
    // By worker, which makes it in the first step, so that the second step cannot lack memory.
    std::vector<std::unique_ptr<uint8_t[]>> staging_;
    std::optional<ExpertPacker> packer_;
    Stage stage_ = Stage::waiting;
    int slot_ = -1;
    std::atomic<int> next_piece_{0};
    std::atomic<bool> folds_{true};
    FirstFailure failure_;
};

} // namespace ds4::ktb
