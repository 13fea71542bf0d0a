// The CUDA backend: the whole model on one GPU.
#include <algorithm>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "backend/cache_options.h"
#include "backend/cuda/cuda_lane.h"
#include "backend/cuda/device_memory.h"
#include "backend/cuda/memory_plan.h"
#include "backend/device_backend.h"
#include "base/fail.h"
#include "ds4.h"
#include "machine/usable_cores.h"

namespace ds4::cuda {
namespace {

constexpr int kOrdinal = 0; // CUDA_VISIBLE_DEVICES hides and orders GPUs

std::shared_ptr<PagePool> device_pages(const Model &model, const EngineOptions &options) {
    return std::make_shared<PagePool>(cache_layout(model.shape(), options),
                                      cache_identity(model, options),
                                      std::make_unique<DeviceMemory>(kOrdinal));
}

int chosen_threads(const EngineOptions &options) {
    return options.cpu.threads > 0 ? options.cpu.threads : machine::usable_cores();
}

// Members of a description: everything lies on the GPU.
std::string places(const WeightBytes &weights) {
    return "\"dense\":{\"place\":\"gpu\",\"bytes\":" + std::to_string(weights.dense) +
           "},\"experts\":{\"place\":\"gpu\",\"bytes\":" + std::to_string(weights.experts) + "}";
}

class CudaBackend : public Backend {
  public:
    CudaBackend(const Model &model, const EngineOptions &options);

    std::unique_ptr<SequenceState> open_sequence(uint32_t context_tokens) override;
    PagePool &pages() const override { return *pages_; }
    std::unique_ptr<Step> submit(Lane lane, StepPlan plan) override {
        return lanes_[size_t(lane)]->submit(std::move(plan));
    }
    std::string describe() const override;

  private:
    const Shape &shape_;
    ThreadPool pool_; // loads, and samples
    std::shared_ptr<PagePool> pages_;
    MemoryPlan plan_;
    std::unique_ptr<Weights> weights_;
    RecentLayout recent_;
    device::Memory rings_;
    std::vector<std::unique_ptr<CudaLane>> runners_; // by lane
    std::vector<std::unique_ptr<StepLane>> lanes_;   // after what they run
};

CudaBackend::CudaBackend(const Model &model, const EngineOptions &options)
    : shape_(model.shape()), pool_(chosen_threads(options)), pages_(device_pages(model, options)),
      plan_(plan_memory(model, options, *pages_)), recent_(*pages_) {
    device::use(kOrdinal);
    check_plan(plan_, device::available_bytes());
    weights_ = std::make_unique<Weights>(model, pool_, LoadProgress(options.progress));
    rings_ = device::Memory(recent_.rings.size() * sizeof(kernels::RingLayout));
    device::Stream stream;
    stream.to_device(rings_.data(), recent_.rings.data(), rings_.bytes());
    stream.wait();
    const Context context{shape_,
                          weights_.get(),
                          pages_->layout,
                          recent_,
                          rings_.as<const kernels::RingLayout>(),
                          kOrdinal,
                          reduces_activations(options),
                          (options.switches & DS4_SWITCH_NO_SHARED_CLAMP) == 0};
    for (const Lane lane : {Lane::decode, Lane::prefill}) {
        runners_.push_back(std::make_unique<CudaLane>(lane, context));
        lanes_.push_back(std::make_unique<StepLane>(*runners_.back()));
    }
}

std::unique_ptr<SequenceState> CudaBackend::open_sequence(uint32_t context_tokens) {
    if (context_tokens < 1 || context_tokens > shape_.context_tokens)
        fail(DS4_ERR_ARGUMENT, "context_tokens is %u; this model allows 1..%u", context_tokens,
             shape_.context_tokens);
    device::use(kOrdinal);
    return std::make_unique<Sequence>(pages_, recent_, kOrdinal, context_tokens);
}

std::string CudaBackend::describe() const {
    uint64_t workspace = 0;
    for (const auto &runner : runners_) workspace += runner->workspace_bytes();
    const device::Facts facts = device::facts(kOrdinal);
    return "\"backend\":\"cuda\",\"gpu\":\"" + facts.name +
           "\",\"architecture\":" + std::to_string(facts.architecture) + ",\"activations\":\"" +
           (runners_[0]->rounds_activations() ? "int8" : "f32") +
           "\",\"cache_bytes\":" + std::to_string(pages_->bytes()) +
           ",\"workspace_bytes\":" + std::to_string(workspace) +
           ",\"memory\":" + plan_.account.describe() + "," + places(plan_.weights);
}

std::unique_ptr<Backend> open(const Model &model, const EngineOptions &options) {
    if (device::count() == 0)
        fail(DS4_ERR_DEVICE, "no GPU can be used: %s", device::why_none().c_str());
    return std::make_unique<CudaBackend>(model, options);
}

std::string plan(const Model &model, const EngineOptions &options) {
    if (device::count() == 0)
        fail(DS4_ERR_DEVICE, "no GPU can be used: %s", device::why_none().c_str());
    const MemoryPlan plan = plan_memory(model, options, *device_pages(model, options));
    device::use(kOrdinal);
    const uint64_t sessions = plan.account.session(plan.account.session_tokens);
    return "{\"backend\":\"cuda\",\"gpu\":\"" + device::facts(kOrdinal).name +
           "\",\"place\":\"gpu\",\"experts_bytes\":" + std::to_string(plan.weights.experts) +
           ",\"rest_bytes\":" + std::to_string(plan.weights.dense) +
           ",\"sessions_bytes\":" + std::to_string(sessions + plan.account.workspace) +
           ",\"available_bytes\":" + std::to_string(device::available_bytes()) +
           ",\"dense\":{\"place\":\"gpu\",\"bytes\":" + std::to_string(plan.weights.dense) +
           "},\"memory\":" + plan.account.describe() + "}";
}

std::string why_unusable() { return device::count() > 0 ? "" : device::why_none(); }

[[maybe_unused]] const bool is_registered = register_device_backend({open, plan, why_unusable});

} // namespace
} // namespace ds4::cuda
