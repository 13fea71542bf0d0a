// Runs the steps of one lane on the CPU. It owns the workspace of a step, so that two lanes can
// compute at once; weights and packed experts are shared.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "backend/cpu/blocks/attention.h"
#include "backend/cpu/blocks/hyper_connections.h"
#include "backend/cpu/blocks/moe.h"
#include "backend/cpu/buffer.h"
#include "backend/cpu/context.h"
#include "backend/cpu/turns.h"
#include "backend/cpu/weights.h"
#include "backend/step_lane.h"
#include "sampling/sampler.h"

namespace ds4::cpu {

// Outlives the lanes.
struct LaneMeans {
    const Model &model;
    const Weights &weights;
    const Context &context;
    Turns *turns; // null: the lane has cores of its own
};

class CpuLane : public StepRunner {
  public:
    CpuLane(Lane lane, const LaneMeans &means);

    uint64_t evaluate(const StepPlan &plan, std::span<const int32_t> tokens,
                      const StepInterest &interest) override;
    void pause() noexcept override;
    void sample(std::span<const SamplingControl> records, std::span<ds4_job_token> out) override;
    void leave() noexcept override;
    void rest() noexcept override;
    void commit(const StepPlan &plan, std::span<const int32_t> tokens,
                std::span<const uint32_t> kept) override;
    uint64_t workspace_bytes() const { return workspace_.bytes(); } // from any thread

  private:
    struct StepRows {
        std::vector<SequenceRows> sequences;
        std::span<const int32_t> tokens;
        std::vector<int32_t> logits_rows; // to be projected to logits
        std::vector<uint8_t> is_sampled;  // [logits_rows]; the others are the caller's
    };
    // Ends a step that nobody wants between layers, and gives way between regions.
    struct Breath;

    void take_turn();
    void give_turn_back() noexcept;
    StepRows gather(const StepPlan &plan, std::span<const int32_t> tokens) const;
    void run(const StepPlan &plan, const StepRows &rows, Trace *trace, Breath &breath);
    void embed(const StepRows &rows, float *streams) const;
    StepAngles make_angles(const StepRows &rows);
    void run_layer(int layer, const StepRows &rows, const StepAngles &angles, float *streams,
                   Trace *trace, Breath &breath);
    void head(const StepRows &rows, const float *streams, float *logits, Trace *trace);

    const Lane lane_;
    const LaneMeans means_;
    Workspace workspace_;
    const Context context_; // with the workspace of this lane
    HyperConnections mixing_;
    Attention attention_;
    Moe moe_;
    Sampler sampler_;
    bool has_turn_ = false;
    Buffer streams_{&workspace_}, x_{&workspace_}, sublayer_{&workspace_}, post_{&workspace_},
        comb_{&workspace_}, window_angles_{&workspace_}, compressed_angles_{&workspace_},
        head_{&workspace_}, head_forms_{&workspace_};
    Buffer logits_{&workspace_};        // [logits rows, vocab] f32 of a step that samples
    std::vector<int32_t> sampled_rows_; // rows of logits_
};

} // namespace ds4::cpu
