// Runs the trials of kernels/calibration.h on the weights of a layer that has just been loaded.
// Trials are forwards on all workers. Each takes other experts than the one before, so that weights
// come from memory.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "experts/forward/forward_job.h"
#include "kernels/calibration.h"
#include "kernels/table_check.h"

namespace ds4::ktb {

class CalibrationJob : public PoolJob {
  public:
    struct Settings {
        Candidates candidates;
        // Taken in turn when all tables fail their check; the plain ones come after them.
        std::vector<const Kernels *> fallbacks;
        const Kernels *plain = nullptr; // the reference of the check
        const TileKernels *tiles = nullptr;
        bool fp8_reference = false;
        std::function<int64_t()> clock; // nanoseconds
    };
    // resources: those of the forwards; their kernels are the trials' kernels. `out` is written
    // before the ticket is done. The layer must have its weights.
    CalibrationJob(const ForwardJob::Resources &resources, ExpertLayer &layer, Settings settings,
                   Tuning &out);
    bool next(WorkerPool::Step &step) override;
    void queued() noexcept override {} // the calibrating load keeps the layer
    void finish(int) override {}

  private:
    void check();
    void check_tables(const CheckWeights &given);
    CheckWeights weights() const;
    bool start_trial(WorkerPool::Step &step);
    void publish();

    ForwardJob::Resources resources_;
    ForwardTimes times_; // of trials, apart from those of calls
    ExpertLayer &layer_;
    Settings settings_;
    Tuning &out_;
    std::vector<Excluded> excluded_;
    std::unique_ptr<Calibration> calibration_;
    std::unique_ptr<ForwardJob> forward_;
    std::vector<float> input_, output_, route_weights_;
    std::vector<int32_t> ids_;
    int experts_ = 0, next_slot_ = 0;
    int64_t begun_ = 0, started_ = 0;
    bool checked_ = false;
};

} // namespace ds4::ktb
