#include "experts/engine/expert_engine.h"

#include <algorithm>

#include "experts/weights/move_job.h"
#include "kernels/table_check.h"
#include "pool/expert_error.h"

namespace ds4::ktb {
namespace {

// Empty without a defect. It is checked once, and only where there is a tile unit.
const std::string &amx_defect() {
    static const std::string found = check_tiles(*tile_kernels_for(Method::mxfp4, Isa::amx));
    return found;
}

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

} // namespace

ExpertEngine::ExpertEngine(const ExpertEngineOptions &options) : options_(options) {
    if (!machine::has(options.isa))
        fail(KTB_ERR_ARGUMENT, "this CPU lacks %s: the best it has is %s", isa_name(options.isa),
             isa_name(machine::best_isa()));
    if (options.isa == Isa::amx && !amx_defect().empty())
        fail(KTB_ERR_STATE, "the tile unit of this CPU fails its check: %s; use \"isa\":\"auto\"",
             amx_defect().c_str());
    if (options.max_tokens < 1 || options.max_tokens > 65536)
        fail(KTB_ERR_ARGUMENT, "max_tokens is %d; expected 1..65536", options.max_tokens);
    queue_.emplace(options.pool);
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
    for (int part = 0; part < pool().parts(); part++)
        part_workers.push_back(pool().part_workers(part));
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

KernelChoice ExpertEngine::choose_kernels(const LayerMethods &methods) const {
    const Kernels *kernels =
        kernels_for(methods.gate_up, methods.down, options_.isa, options_.numerics);
    // The measurement says from how many tokens on the tile unit is faster.
    const bool waits = options_.isa_selection == IsaSelection::fastest && measures();
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

ForwardJob::Resources ExpertEngine::resources(const KernelChoice &kernels) {
    return {pool(), workspace_, times_, options_.huge, kernels, options_.max_tokens};
}

std::unique_ptr<PoolJob> ExpertEngine::forward_job(const ForwardRequest &request) {
    return std::make_unique<ForwardJob>(resources(choose_kernels(request.layer->methods)), request);
}

uint64_t ExpertEngine::submit_forward(const ForwardRequest &request) {
    return queue_->submit(forward_job(request));
}

void ExpertEngine::forward(const ForwardRequest &request) {
    queue_->run_blocking([&] { return forward_job(request); });
}

uint64_t ExpertEngine::submit_move(ExpertLayer &layer, int leaving,
                                   std::shared_ptr<const ExpertSource> source) {
    return queue_->submit(std::make_unique<MoveJob>(pool(), layer, leaving, std::move(source)));
}

void ExpertEngine::move(ExpertLayer &layer, int leaving,
                        std::shared_ptr<const ExpertSource> source) {
    queue_->run_blocking(
        [&] { return std::make_unique<MoveJob>(pool(), layer, leaving, std::move(source)); });
}

void ExpertEngine::load(std::vector<LoadJob::Item> items, bool serial) {
    std::vector<ExpertLayer *> layers;
    for (const LoadJob::Item &item : items) layers.push_back(item.layer);
    const LayerGuard guard(layers);
    queue_->run_blocking([&] {
        return std::make_unique<LoadJob>(pool(), options_.huge, std::move(items), serial,
                                         progress_);
    });
    if (measures()) tune(layers);
}

} // namespace ds4::ktb
