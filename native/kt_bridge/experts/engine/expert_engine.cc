#include "experts/engine/expert_engine.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "experts/weights/move_job.h"
#include "kernels/table_check.h"
#include "pool/expert_error.h"
#include "pool/substitute_threads.h"
#include "machine/topology.h"
#include "machine/instruction_sets.h"

namespace ds4::ktb {
namespace {

constexpr size_t kKeptFailures = 64;
const std::string &amx_defect() { // "": none; checked once, and only where there is one
    static const std::string found = check_tiles(*tile_kernels_for(Method::mxfp4, Isa::amx));
    return found;
}

constexpr uint64_t kBlockingCall = UINT64_MAX; // holder of the places that no ticket ever has

} // namespace

// Holds external workers' places [begin, end). A thread whose ticket is done is about to leave its
// place and is waited for; any other means two threads for one worker, which would leave another
// worker's share undone.
class ExpertEngine::HeldPlaces {
  public:
    HeldPlaces(ExpertEngine &engine, int begin, int end, uint64_t ticket)
        : engine_(engine), begin_(begin), end_(begin) {
        for (; end_ < end; end_++)
            while (!engine.pool_->take(end_, ticket)) {
                const uint64_t holder = engine.pool_->holder(end_);
                if (holder <= engine.completed_.load(std::memory_order_acquire)) {
                    std::this_thread::yield();
                    continue;
                }
                release();
                fail(KTB_ERR_STATE, "worker %d is at work already: %s", end_,
                     holder == kBlockingCall
                         ? "a blocking call of this engine has all of them"
                         : "another thread is in ktb_engine_work with its number");
            }
    }
    ~HeldPlaces() { release(); }
    HeldPlaces(const HeldPlaces &) = delete;

  private:
    void release() {
        for (int index = begin_; index < end_; index++) engine_.pool_->give_back(index);
    }
    ExpertEngine &engine_;
    int begin_, end_;
};

// Layers that must outlive a call although none of its jobs may be queued.
class LayerGuard {
  public:
    explicit LayerGuard(const std::vector<ExpertLayer *> &layers) : layers_(layers) {
        for (ExpertLayer *layer : layers_) layer->pending.fetch_add(1);
    }
    ~LayerGuard() {
        for (ExpertLayer *layer : layers_) layer->pending.fetch_sub(1);
    }
    LayerGuard(const LayerGuard &) = delete;

  private:
    const std::vector<ExpertLayer *> &layers_;
};

// A call that blocks until its job is done. On an engine with external workers it brings threads of
// its own for that.
class ExpertEngine::BlockingCall {
  public:
    explicit BlockingCall(ExpertEngine &engine) : engine_(engine) {
        if (!engine.pool_->external()) return;
        turn_ = std::unique_lock<std::mutex>(engine.blocking_);
        places_ = std::make_unique<HeldPlaces>(engine, 0, engine.pool_->workers(), kBlockingCall);
        substitutes_ = std::make_unique<SubstituteThreads>(engine.pool_->workers());
    }
    void finish(uint64_t ticket) const {
        if (substitutes_ != nullptr)
            substitutes_->run([&](int index) { engine_.run_steps(index, ticket); });
        engine_.wait(ticket, -1);
    }

  private:
    ExpertEngine &engine_;
    std::unique_lock<std::mutex> turn_;
    std::unique_ptr<HeldPlaces> places_;
    std::unique_ptr<SubstituteThreads> substitutes_;
};

ExpertEngine::ExpertEngine(const ExpertEngineOptions &options) : options_(options) {
    if (!machine::has(options.isa))
        fail(KTB_ERR_ARGUMENT, "this CPU lacks %s: the best it has is %s", isa_name(options.isa),
             isa_name(machine::best_isa()));
    if (options.isa == Isa::amx && !amx_defect().empty())
        fail(KTB_ERR_STATE, "the tile unit of this CPU fails its check: %s; use \"isa\":\"auto\"",
             amx_defect().c_str());
    if (options.max_tokens < 1 || options.max_tokens > 65536)
        fail(KTB_ERR_ARGUMENT, "max_tokens is %d; expected 1..65536", options.max_tokens);
    pool_ = std::make_unique<WorkerPool>(options.pool, machine::read_topology());
}

ExpertEngine::~ExpertEngine() {
    for (int index = 0; pool_->external() && index < pool_->workers(); index++)
        while (!pool_->take(index, kBlockingCall)) std::this_thread::yield();
}

std::unique_ptr<ExpertLayer> ExpertEngine::create_layer(int index, const LayerMethods &methods,
                                                        const ExpertLayerShape &shape, int io_type,
                                                        float limit) {
    if (kernels_for(methods.gate_up, methods.down, options_.isa, options_.numerics) == nullptr)
        fail(KTB_ERR_ARGUMENT,
             "%s cannot be mixed with %s for down: with numerics %s their activations differ",
             method_traits(methods.gate_up).name, method_traits(methods.down).name,
             numerics_name(options_.numerics));
    auto layer = std::make_unique<ExpertLayer>();
    layer->engine = this;
    layer->index = index;
    layer->methods = methods;
    layer->shape = shape;
    for (int expert = 0; expert < shape.experts; expert++) layer->kept.push_back(expert);
    layer->io_type = io_type;
    layer->limit = limit;
    std::vector<int> part_workers;
    for (int part = 0; part < pool_->parts(); part++)
        part_workers.push_back(pool_->part_workers(part));
    layer->layout = LayerLayout(methods, shape, part_workers);
    const std::lock_guard<std::mutex> lock(lock_);
    layers_.push_back(layer.get());
    return layer;
}

std::unique_ptr<ExpertLayer> ExpertEngine::share_layer(ExpertLayer &source) {
    std::unique_ptr<ExpertLayer> layer =
        create_layer(source.index, source.methods, source.shape, source.io_type, source.limit);
    try {
        if (layer->layout.slice_begin != source.layout.slice_begin)
            fail(KTB_ERR_ARGUMENT,
                 "layer %d: its engine splits the width over %d parts, this one over %d or in "
                 "other proportions: weights are shared only between engines that split alike",
                 source.index, source.layout.parts(), layer->layout.parts());
        {
            const std::scoped_lock lock(source.weights_lock, layer->weights_lock);
            if (const int state = source.state.load(std::memory_order_acquire);
                state != int(ExpertLayerState::ready))
                fail(KTB_ERR_STATE, "layer %d has no weights to share (status %d): load it first",
                     source.index, state);
            if (source.weights->changing)
                fail(KTB_ERR_STATE,
                     "layer %d: an expert is being moved: wait for it before sharing the weights",
                     source.index);
            layer->kept = source.kept;
            layer->weights.hold(source.weights.shared());
        }
        layer->state.store(int(ExpertLayerState::ready), std::memory_order_release);
        if (measures()) tune({layer.get()});
    } catch (...) {
        remove_layer(layer.get());
        throw;
    }
    return layer;
}

void ExpertEngine::remove_layer(ExpertLayer *layer) {
    if (const int pending = layer->pending.load(); pending != 0)
        fail(KTB_ERR_STATE,
             "layer %d has %d jobs queued or running: wait for them before destroying it",
             layer->index, pending);
    const std::lock_guard<std::mutex> lock(lock_);
    layers_.erase(std::find(layers_.begin(), layers_.end(), layer));
}

int ExpertEngine::live_layers() const {
    const std::lock_guard<std::mutex> lock(lock_);
    return int(layers_.size());
}

uint64_t ExpertEngine::submit(std::unique_ptr<PoolJob> job) {
    uint64_t ticket = 0;
    {
        const std::lock_guard<std::mutex> lock(lock_);
        queue_.push_back(std::move(job));
        queue_.back()->queued();
        ticket = ++last_ticket_;
        if (running_) return ticket;
        running_ = true;
    }
    advance();
    return ticket;
}

KernelChoice ExpertEngine::choose_kernels(const LayerMethods &methods) const {
    const Kernels *kernels =
        kernels_for(methods.gate_up, methods.down, options_.isa, options_.numerics);
    const bool waits = options_.isa_selection == IsaSelection::fastest &&
                       measures(); // the measurement says from how many tokens on
    return {{kernels, kernels, kernels, kernels},
            tiles_of(methods),
            waits ? 0 : options_.tile_tokens,
            options_.fused_tokens < 0 ? kFusedTokens : options_.fused_tokens,
            options_.numerics == Numerics::fp8ref};
}

const TileKernels *ExpertEngine::tiles_of(const LayerMethods &methods) const {
    if (methods.gate_up != methods.down || options_.numerics == Numerics::f32) return nullptr;
    const bool may = options_.isa == Isa::amx ||
                     (options_.isa_selection == IsaSelection::fastest && machine::has(Isa::amx));
    return may ? tile_kernels_for(methods.down, Isa::amx) : nullptr;
}

uint64_t ExpertEngine::submit_forward(const ForwardRequest &request) {
    const ForwardJob::Resources resources{*pool_,
                                          workspace_,
                                          times_,
                                          options_.huge,
                                          choose_kernels(request.layer->methods),
                                          options_.max_tokens};
    return submit(std::make_unique<ForwardJob>(resources, request));
}

uint64_t ExpertEngine::submit_move(ExpertLayer &layer, int leaving,
                                   std::shared_ptr<const ExpertSource> source) {
    return submit(std::make_unique<MoveJob>(*pool_, layer, leaving, std::move(source)));
}

void ExpertEngine::move(ExpertLayer &layer, int leaving,
                        std::shared_ptr<const ExpertSource> source) {
    const BlockingCall alone(*this);
    alone.finish(submit_move(layer, leaving, std::move(source)));
}

void ExpertEngine::load(std::vector<LoadJob::Item> items, bool serial) {
    std::vector<ExpertLayer *> layers;
    for (const LoadJob::Item &item : items) layers.push_back(item.layer);
    const LayerGuard kept(layers);
    run_blocking([&] {
        return std::make_unique<LoadJob>(*pool_, options_.huge, std::move(items), serial,
                                         progress_);
    });
    if (measures()) tune(layers);
}

// Submits what `make` gives and waits for it. Threads for the call are there before anything is
// queued.
void ExpertEngine::run_blocking(const std::function<std::unique_ptr<PoolJob>()> &make) {
    const BlockingCall alone(*this);
    alone.finish(submit(make()));
}

void ExpertEngine::forward(const ForwardRequest &request) {
    const BlockingCall alone(*this);
    alone.finish(submit_forward(request));
}

void ExpertEngine::work(int index, uint64_t ticket) {
    if (!pool_->external())
        fail(KTB_ERR_STATE, "this engine has workers of its own: wait for the ticket");
    if (index < 0 || index >= pool_->workers())
        fail(KTB_ERR_ARGUMENT, "worker %d is outside 0..%d", index, pool_->workers() - 1);
    check_given(ticket);
    const HeldPlaces place(*this, index, index + 1, ticket);
    run_steps(index, ticket);
    check_failed(ticket);
}

void ExpertEngine::run_steps(int index, uint64_t ticket) {
    while (true) {
        const uint32_t seen = pool_->turn();
        if (completed_.load(std::memory_order_acquire) >= ticket) return;
        if (!pool_->run_step(index)) pool_->wait_turn(seen);
    }
}

// Starts the next step of the first job, completing jobs that have none left. Runs on the
// submitting thread when the engine was idle, else on the worker that finished the previous step;
// never on two threads at once.
void ExpertEngine::advance() {
    bool more = true;
    while (more) {
        PoolJob *job = nullptr;
        {
            const std::lock_guard<std::mutex> lock(lock_);
            job = queue_.front().get();
        }
        int code = 0;
        std::string text;
        try {
            if (start_next(*job)) return;
        } catch (const ExpertError &error) {
            code = error.code(), text = error.what();
        } catch (const std::exception &error) {
            code = KTB_ERR_MEMORY,
            text = std::string("out of memory while planning: ") + error.what();
        }
        more = complete(code, text);
    }
}

bool ExpertEngine::start_next(PoolJob &job) {
    WorkerPool::Step step;
    if (!job.next(step)) return false;
    step.finished = [](void *context) { static_cast<ExpertEngine *>(context)->advance(); };
    step.finished_context = this;
    pool_->start(step);
    return true;
}

// Publishes the end of the first job; false when the queue is empty and the engine idle.
bool ExpertEngine::complete(int code, const std::string &text) {
    bool more = false;
    {
        const std::lock_guard<std::mutex> lock(lock_);
        const uint64_t ticket = completed_.load() + 1;
        queue_.front()->finish(code);
        queue_.pop_front();
        if (code != 0) failures_.push_back({ticket, code, text});
        if (failures_.size() > kKeptFailures) failures_.pop_front();
        more = !queue_.empty();
        running_ = more;
        completed_.store(ticket, std::memory_order_release);
    }
    done_.advance();
    if (pool_->external()) pool_->next_turn();
    return more;
}

void ExpertEngine::check_given(uint64_t ticket) const {
    const std::lock_guard<std::mutex> lock(lock_);
    if (ticket == 0 || ticket > last_ticket_)
        fail(KTB_ERR_ARGUMENT, "ticket %llu was never given; the last one is %llu",
             (unsigned long long)ticket, (unsigned long long)last_ticket_);
}

void ExpertEngine::check_failed(uint64_t ticket) const {
    const std::lock_guard<std::mutex> lock(lock_);
    for (const Failure &failure : failures_)
        if (failure.ticket == ticket) throw ExpertError(failure.code, failure.text);
}

int ExpertEngine::wait(uint64_t ticket, int timeout_ms) {
    using Clock = std::chrono::steady_clock;
    check_given(ticket);
    const auto begin = Clock::now();
    // a core of its own lets the caller spin; on a full machine it would take one from the workers
    const auto spin_until =
        begin +
        std::chrono::microseconds(pool_->fills_machine() || timeout_ms == 0 ? 0 : pool_->spin_us());
    while (completed_.load(std::memory_order_acquire) < ticket) {
        const uint32_t seen = done_.value();
        if (completed_.load(std::memory_order_acquire) >= ticket) break;
        const auto now = Clock::now();
        if (timeout_ms >= 0 && now - begin >= std::chrono::milliseconds(timeout_ms)) return 1;
        if (now < spin_until) {
            for (int i = 0; i < 64; i++) cpu_pause();
            continue;
        }
        if (timeout_ms < 0) {
            done_.sleep(seen, nullptr);
            continue;
        }
        const auto left = std::chrono::milliseconds(timeout_ms) - (now - begin);
        const int64_t nanoseconds =
            std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
        const timespec timeout{time_t(nanoseconds / 1000000000), long(nanoseconds % 1000000000)};
        done_.sleep(seen, &timeout);
    }
    check_failed(ticket);
    return 0;
}

} // namespace ds4::ktb
