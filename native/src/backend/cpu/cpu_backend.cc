#include "backend/cpu/cpu_backend.h"

#include <algorithm>
#include <vector>

#include "backend/cache_options.h"
#include "backend/cpu/context.h"
#include "backend/cpu/cpu_lane.h"
#include "backend/cpu/cpu_memory.h"
#include "backend/cpu/host_memory.h"
#include "backend/cpu/packed_dense.h"
#include "backend/cpu/sequence.h"
#include "backend/cpu/turns.h"
#include "backend/cpu/weights.h"
#include "backend/step_lane.h"
#include "base/fail.h"
#include "base/load_progress.h"
#include "ds4.h"
#include "experts/expert_placement.h"
#include "machine/instruction_sets.h"
#include "machine/memory.h"
#include "machine/usable_cores.h"

namespace ds4::cpu {
namespace {

Isa chosen_isa(uint32_t requested) {
    const Isa isa = requested == DS4_ISA_GENERIC  ? Isa::generic
                    : requested == DS4_ISA_AVX2   ? Isa::avx2
                    : requested == DS4_ISA_AVX512 ? Isa::avx512
                                                  : machine::best_isa();
    if (!machine::has(isa))
        fail(DS4_ERR_ARGUMENT, "this CPU does not have %s; the best set here is %s", isa_name(isa),
             isa_name(machine::best_isa()));
    return isa;
}

// Starting a parallel region costs some microseconds, so small models run best on one thread.
int chosen_threads(int requested, const Shape &shape) {
    if (requested > 0) return requested;
    const int cores = machine::usable_cores();
    return shape.hidden < 1024 ? 1 : cores;
}

// The means of a lane's steps. Lanes with few threads have cores of their own; else both
// use the same means in turns.
struct LaneSetup {
    ThreadPool pool;
    FirstUse first_use;
    Context context;
    std::unique_ptr<PackedExperts> packed; // null: those of the backend, or none

    LaneSetup(const Model &model, const EngineOptions &options, int threads);
};

class CpuBackend : public Backend {
  public:
    CpuBackend(const Model &model, const EngineOptions &options);

    std::unique_ptr<SequenceState> open_sequence(uint32_t context_tokens) override;
    PagePool &pages() const override { return *pages_; }
    std::unique_ptr<Step> submit(Lane lane, StepPlan plan) override;
    std::string describe() const override;

  private:
    void place_weights(const Model &model, const EngineOptions &options);
    void add_lane_of_its_own(const Model &model, const EngineOptions &options, int threads);

    Weights weights_;
    LaneSetup first_;
    std::shared_ptr<PagePool> pages_;
    MemoryAccount account_;
    ExpertPlacement experts_;
    PackedDense dense_;
    std::unique_ptr<LaneSetup> second_; // null: the lanes take turns
    Turns turns_;
    std::vector<std::unique_ptr<CpuLane>> runners_; // by lane
    std::vector<std::unique_ptr<StepLane>> lanes_;  // after what they run
};

Precision precision_of(const EngineOptions &options) {
    return reduces_activations(options) ? Precision::int8 : Precision::f32;
}

Context make_context(const Model &model, const EngineOptions &options, ThreadPool &pool) {
    const Shape &shape = model.shape();
    const Isa isa = chosen_isa(options.cpu.isa);
    return Context{shape,
                   pool,
                   isa,
                   vector_kernels(isa),
                   cache_kernels(isa),
                   precision_of(options),
                   (options.switches & DS4_SWITCH_NO_SHARED_CLAMP) == 0,
                   cache_layout(shape, options),
                   Rope(shape, false),
                   Rope(shape, true)};
}

LaneSetup::LaneSetup(const Model &model, const EngineOptions &options, int threads)
    : pool(threads), first_use(pool, model.shape().layers, model.shape().experts),
      context(make_context(model, options, pool)) {
    context.first_use = &first_use;
}

DenseWishes dense_wishes(const EngineOptions &options, Isa isa, Precision precision,
                         const MemoryAccount &account) {
    return {isa, precision, (options.switches & DS4_SWITCH_MAPPED_DENSE) == 0,
            account.session(account.session_tokens) + account.workspace};
}

// A caller's number of threads is for both lanes together.
bool have_cores_each(const EngineOptions &options, int threads) {
    return options.cpu.threads == 0 && threads * kLanes <= machine::usable_cores();
}

MemoryAccount account_of(const Model &model, const EngineOptions &options, const Context &context,
                         bool packs_experts, const PackedWeights &packed) {
    const int threads = context.pool.threads();
    return memory_account(model, options,
                          {context.cache, context.precision, packs_experts, threads,
                           have_cores_each(options, threads),
                           tile_attention(context.isa, context.cache.kv) != nullptr},
                          packed);
}

CpuBackend::CpuBackend(const Model &model, const EngineOptions &options)
    : weights_(model), first_(model, options, chosen_threads(options.cpu.threads, model.shape())) {
    Context &context = first_.context;
    pages_ = host_pages(context.cache, cache_identity(model, options));
    place_weights(model, options);
    if (have_cores_each(options, first_.pool.threads()) &&
        (context.packed == nullptr || context.packed->can_share()))
        add_lane_of_its_own(model, options, first_.pool.threads());
    for (const Lane lane : {Lane::decode, Lane::prefill}) {
        const bool apart = lane == Lane::prefill && second_ != nullptr;
        runners_.push_back(std::make_unique<CpuLane>(
            lane, LaneMeans{model, weights_, apart ? second_->context : context,
                            second_ != nullptr ? nullptr : &turns_}));
        lanes_.push_back(std::make_unique<StepLane>(*runners_.back()));
    }
}

void CpuBackend::place_weights(const Model &model, const EngineOptions &options) {
    Context &context = first_.context;
    const LoadProgress progress(options.progress);
    // Where the caller named no instruction set, the expert library measures and chooses its own.
    const char *isa = options.cpu.isa == DS4_ISA_AUTO ? "auto" : isa_name(context.isa);
    const char *numerics = context.precision == Precision::int8 ? "int8" : "f32";
    account_ = account_of(model, options, context, true, {});
    const auto wishes = [&] {
        return dense_wishes(options, context.isa, context.precision, account_);
    };
    const uint64_t dense_bytes = plan_dense(model, wishes(), UINT64_MAX).bytes;
    progress.expect(dense_bytes);
    experts_ =
        place_experts({model, options.experts, account_}, {isa, numerics, first_.pool, progress});
    context.packed = experts_.packed.get();
    const bool packs_experts = context.packed != nullptr;
    PackedWeights packed;
    if (packs_experts) packed.expert_bytes = context.packed->bytes();
    account_ = account_of(model, options, context, packs_experts, packed);
    dense_.pack(weights_, model.files(), first_.pool, wishes(), progress);
    progress.forgo(dense_bytes - dense_.bytes());
    context.precision = dense_.precision();
    packed.dense_bytes = dense_.bytes();
    account_ = account_of(model, options, context, packs_experts, packed);
}

void CpuBackend::add_lane_of_its_own(const Model &model, const EngineOptions &options,
                                     int threads) {
    second_ = std::make_unique<LaneSetup>(model, options, threads);
    second_->context.precision = first_.context.precision;
    if (first_.context.packed == nullptr) return;
    second_->packed = std::make_unique<PackedExperts>(*first_.context.packed, second_->pool);
    second_->context.packed = second_->packed.get();
}

std::unique_ptr<Step> CpuBackend::submit(Lane lane, StepPlan plan) {
    return lanes_[size_t(lane)]->submit(std::move(plan));
}

std::unique_ptr<SequenceState> CpuBackend::open_sequence(uint32_t context_tokens) {
    const Context &context = first_.context;
    if (context_tokens < 1 || context_tokens > context.shape.context_tokens)
        fail(DS4_ERR_ARGUMENT, "context_tokens is %u; this model allows 1..%u", context_tokens,
             context.shape.context_tokens);
    return std::make_unique<Sequence>(pages_, context_tokens);
}

std::string CpuBackend::describe() const {
    uint64_t workspace = 0;
    for (const auto &runner : runners_) workspace += runner->workspace_bytes();
    const uint64_t regions =
        first_.pool.regions() + (second_ == nullptr ? 0 : second_->pool.regions());
    for (const LaneSetup *lane : std::initializer_list<const LaneSetup *>{&first_, second_.get()})
        if (lane != nullptr && lane->context.packed != nullptr)
            workspace += lane->context.packed->workspace_bytes();
    return std::string("\"backend\":\"cpu\",\"isa\":\"") + isa_name(first_.context.isa) +
           "\",\"threads\":" + std::to_string(first_.pool.threads()) + ",\"lanes\":\"" +
           (second_ != nullptr ? "at once" : "in turns") + "\",\"activations\":\"" +
           (first_.context.precision == Precision::f32 ? "f32" : "int8") +
           "\",\"cache_bytes\":" + std::to_string(pages_->bytes()) +
           ",\"workspace_bytes\":" + std::to_string(workspace) +
           ",\"parallel_regions\":" + std::to_string(regions) +
           ",\"memory\":" + account_.describe() + ",\"dense\":" + dense_.describe() +
           ",\"experts\":" + experts_.describe();
}

} // namespace

std::unique_ptr<Backend> open_cpu_backend(const Model &model, const EngineOptions &options) {
    return std::make_unique<CpuBackend>(model, options);
}

std::string plan_cpu_backend(const Model &model, const EngineOptions &options) {
    const Isa isa = chosen_isa(options.cpu.isa);
    const CacheLayout cache = cache_layout(model.shape(), options);
    const int threads = chosen_threads(options.cpu.threads, model.shape());
    WorkspaceFacts facts{cache,
                         precision_of(options),
                         true,
                         threads,
                         have_cores_each(options, threads),
                         tile_attention(isa, cache.kv) != nullptr};
    const ExpertPlan plan =
        plan_experts({model, options.experts, memory_account(model, options, facts, {})});
    PackedWeights packed;
    if (plan.is_packed) packed.expert_bytes = plan.expert_bytes;
    facts.packs_experts = plan.is_packed;
    const uint64_t available = machine::available_memory();
    const DensePlan dense = plan_dense(
        model,
        dense_wishes(options, isa, facts.precision, memory_account(model, options, facts, packed)),
        available - std::min(available, packed.expert_bytes));
    packed.dense_bytes = dense.bytes;
    facts.precision = dense.precision;
    return "{" + plan.members + ",\"dense\":" + dense.describe() +
           ",\"memory\":" + memory_account(model, options, facts, packed).describe() + "}";
}

} // namespace ds4::cpu
