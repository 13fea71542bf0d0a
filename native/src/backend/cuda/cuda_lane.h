// Runs the steps of one lane on a GPU, on a stream of its own, so that both lanes compute at once.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "backend/cuda/context.h"
#include "backend/cuda/device_sampler.h"
#include "backend/cuda/forward.h"
#include "backend/cuda/step_inputs.h"
#include "backend/cuda/step_trace.h"
#include "backend/step_lane.h"
#include "device/device.h"

namespace ds4::cuda {

class CudaLane : public StepRunner {
  public:
    CudaLane(Lane lane, const Context &context);

    uint64_t evaluate(const StepPlan &plan, std::span<const int32_t> tokens,
                      const StepInterest &interest) override;
    void sample(std::span<const SamplingControl> records, std::span<ds4_job_token> out) override;
    void commit(const StepPlan &plan, std::span<const int32_t> tokens,
                std::span<const uint32_t> kept) override;
    uint64_t workspace_bytes() const { return workspace_bytes_; } // from any thread
    bool rounds_activations() const { return context_.rounds_activations; }

  private:
    void run(const StepPlan &plan, Trace *trace, const StepInterest &interest);
    void run_layer(int layer, Forward &forward, StepTrace &trace);
    void collect_logits(const StepPlan &plan, const float *logits);

    const Context context_;
    device::Stream stream_;
    StepInputs inputs_;
    device::Memory workspace_;
    std::atomic<uint64_t> workspace_bytes_{0};
    DeviceSampler sampler_;
    const float *logits_ = nullptr;     // of the step, device [logits rows, vocab]
    std::vector<int32_t> sampled_rows_; // rows of logits_
};

} // namespace ds4::cuda
