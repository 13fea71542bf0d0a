// Puts another expert into a slot between two forwards. Everything that may be wrong is found
// before the first byte of the slot is written: a first step reads and checks the matrices on all
// workers, a second one packs them.
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
    // source: reads one expert, which enters the slot of `leaving`; they may be the same. Of a
    // layer that alone holds its weights (see ExpertLayer), checked when the job's turn comes.
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
    std::vector<std::unique_ptr<uint8_t[]>>
        staging_; // by worker, made by it in the first step: the second cannot lack memory
    std::optional<ExpertPacker> packer_;
    Stage stage_ = Stage::waiting;
    int slot_ = -1;
    std::atomic<int> next_piece_{0};
    std::atomic<bool> folds_{true};
    FirstFailure failure_;
};

} // namespace ds4::ktb
