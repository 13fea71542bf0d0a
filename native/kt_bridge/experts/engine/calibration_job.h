// Runs the trials of kernels/calibration.h on the weights of a layer that has just been loaded:
// forwards on all workers as any other, each on other experts than the one before, so that their
// weights come from memory.
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
        std::vector<const Kernels *>
            fallbacks; // taken in turn when all tables fail their check; the plain ones after them
        const Kernels *plain = nullptr; // what tables are checked against
        const TileKernels *tiles = nullptr;
        bool fp8_reference = false;
        std::function<int64_t()> clock; // nanoseconds
    };
    // resources: of the forwards; their kernels are those of the trials. Writes `out` before its
    // ticket is done. The layer must have its weights.
    CalibrationJob(const ForwardJob::Resources &resources, ExpertLayer &layer, Settings settings,
                   Tuning &out);
    bool next(WorkerPool::Step &step) override;
    void queued() noexcept override {} // whoever calibrates keeps the layer
    void finish(int) override {}

  private:
    void check();
    void check_tables(const CheckWeights &given);
    CheckWeights weights() const;
    bool start_trial(WorkerPool::Step &step);
    void publish();

    ForwardJob::Resources resources_;
    ForwardTimes times_; // of the trials, which are no calls of a user
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
