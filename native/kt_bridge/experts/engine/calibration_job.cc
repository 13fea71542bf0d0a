#include "experts/engine/calibration_job.h"

#include <algorithm>
#include <new>

#include "kt_bridge.h"
#include "pool/expert_error.h"

namespace ds4::ktb {
namespace {

constexpr int kWorkersPerExpert = 8; // an expert of Flash is 16 chunks
constexpr int kCheckedInputs = 1024; // of a strip with several tiles
constexpr int kCheckedTiles = 4;     // down tiles
constexpr int kMostTokens = kTrialTokens[kTrialCounts - 1];

} // namespace

CalibrationJob::CalibrationJob(const ForwardJob::Resources &resources, ExpertLayer &layer,
                               Settings settings, Tuning &out)
    : resources_{resources.pool, resources.workspace, times_,
                 resources.huge, resources.kernels,   resources.max_tokens},
      layer_(layer), settings_(std::move(settings)), out_(out) {}

bool CalibrationJob::next(WorkerPool::Step &step) {
    // A load that was queued in between may have taken the weights away.
    if (const int state = layer_.state.load(std::memory_order_acquire);
        state != int(ExpertLayerState::ready))
        fail(KTB_ERR_STATE, "layer %d has lost its weights (status %d)", layer_.index, state);
    if (begun_ == 0) {
        begun_ = settings_.clock();
        step.context = this;
        step.run = [](void *context, const Worker &worker) {
            if (worker.global_index == 0) static_cast<CalibrationJob *>(context)->check();
        };
        return true;
    }
    if (!checked_) {
        checked_ = true;
        calibration_ = std::make_unique<Calibration>(settings_.candidates);
        experts_ =
            std::clamp((resources_.pool.workers() + kWorkersPerExpert - 1) / kWorkersPerExpert, 1,
                       std::min(layer_.shape.experts_per_token, layer_.weights->slots()));
        const size_t values = size_t(kMostTokens) * size_t(layer_.shape.hidden);
        input_.resize(values), output_.resize(values);
        for (size_t i = 0; i < values; i++)
            input_[i] = float(int(i * 2654435761u >> 8 & 0xffff) - 0x8000) / 0x4000;
        route_weights_.assign(size_t(kMostTokens) * size_t(layer_.shape.experts_per_token), 0.5f);
    }
    if (forward_ != nullptr) {
        if (forward_->next(step)) return true; // a pass shorter than the trial
        calibration_->record(settings_.clock() - started_);
        forward_.reset();
    }
    if (start_trial(step)) return true;
    publish();
    return false;
}

CheckWeights CalibrationJob::weights() const {
    const LayerLayout &layout = layer_.layout;
    int part = 0;
    while (layout.slices(part) == 0) part++;
    const uint8_t *record = layer_.record(part, layer_.weights->slot(0).expert, 0);
    const int most = std::max(kCheckedInputs / kGroup, layout.input_tile_groups);
    return {record,
            layout.input_tile_bytes,
            std::min(layout.input_groups, most),
            layout.input_tile_groups,
            record + layout.down_offset,
            std::min(layout.row_tiles, kCheckedTiles),
            layout.slice_groups()};
}

// Keeps the tables that compute what they should, or the plain ones when none does.
void CalibrationJob::check_tables(const CheckWeights &given) {
    std::vector<const Kernels *> &tables = settings_.candidates.tables, kept;
    for (const Kernels *table : tables) {
        std::string reason =
            table == settings_.plain ? "" : check_table(*table, *settings_.plain, given);
        if (reason.empty() && !kept.empty() && settings_.candidates.same_bits)
            reason = check_same_bits(*table, *kept[0], given);
        if (reason.empty())
            kept.push_back(table);
        else
            excluded_.push_back({table->isa, reason});
    }
    for (const Kernels *table : settings_.fallbacks)
        if (kept.empty() && check_table(*table, *settings_.plain, given).empty())
            kept.push_back(table);
    if (kept.empty()) kept.push_back(settings_.plain);
    tables = kept;
}

void CalibrationJob::check() {
    try {
        check_tables(weights());
    } catch (const std::bad_alloc &) {
        // Nothing is known about the other tables: the usual one stays.
        settings_.candidates.tables.resize(1);
        settings_.candidates.tiles = false;
    }
    if (!settings_.candidates.tiles) return;
    const std::string reason = layer_.weights->scales_fold()
                                   ? check_tiles(*settings_.tiles)
                                   : "scales of this layer are too large or small to fold";
    if (reason.empty()) return;
    settings_.candidates.tiles = false;
    excluded_.push_back({settings_.tiles->isa, reason});
}

bool CalibrationJob::start_trial(WorkerPool::Step &step) {
    Trial trial;
    if (!calibration_->next(trial)) return false;
    const int per_token = layer_.shape.experts_per_token, slots = layer_.weights->slots();
    ids_.assign(size_t(trial.tokens) * size_t(per_token), -1);
    for (int t = 0; t < trial.tokens; t++)
        for (int i = 0; i < experts_; i++)
            ids_[size_t(t * per_token + i)] = layer_.weights->slot((next_slot_ + i) % slots).expert;
    next_slot_ = (next_slot_ + experts_) % slots;
    KernelChoice &choice = resources_.kernels;
    for (const Kernels *&kernels : choice.kernels) kernels = trial.kernels;
    choice.fused_tokens = trial.form == Form::fused ? trial.tokens : 0;
    choice.tiles = trial.form == Form::tiles ? settings_.tiles : nullptr;
    choice.tile_tokens = trial.tokens;
    choice.fp8_reference = settings_.fp8_reference;
    forward_ = std::make_unique<ForwardJob>(
        resources_,
        ForwardRequest{&layer_, trial.tokens, input_.data(), KTB_IO_F32, output_.data(), KTB_IO_F32,
                       ids_.data(), false, route_weights_.data(), false, layer_.limit});
    started_ = settings_.clock();
    return forward_->next(step);
}

void CalibrationJob::publish() {
    out_ = calibration_->result();
    out_.excluded = excluded_;
    out_.nanoseconds = settings_.clock() - begun_;
}

} // namespace ds4::ktb
