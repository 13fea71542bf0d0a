#include "experts/weights/move_job.h"

#include "pool/expert_error.h"

namespace ds4::ktb {

MoveJob::MoveJob(const WorkerPool &pool, ExpertLayer &layer, int leaving,
                 std::shared_ptr<const ExpertSource> source)
    : layer_(layer), leaving_(leaving), entering_(source->shape().kept[0]),
      source_(std::move(source)), staging_(size_t(pool.workers())) {}

bool MoveJob::next(WorkerPool::Step &step) {
    failure_.rethrow();
    if (stage_ == Stage::waiting)
        begin();
    else if (stage_ == Stage::checking)
        open_slot();
    else {
        close_slot();
        return false;
    }
    next_piece_.store(0);
    step.context = this;
    step.run = [](void *context, const Worker &worker) {
        static_cast<MoveJob *>(context)->work(worker);
    };
    return true;
}

void MoveJob::begin() {
    const std::lock_guard<std::mutex> lock(layer_.weights_lock);
    if (const int state = layer_.state.load(std::memory_order_acquire);
        state != int(ExpertLayerState::ready))
        fail(KTB_ERR_STATE, "layer %d has no weights (status %d): load it first", layer_.index,
             state);
    if (!layer_.weights.alone())
        fail(KTB_ERR_STATE,
             "layer %d shares its weights with %d other layers: experts of shared weights cannot "
             "be moved",
             layer_.index, layer_.weights->holders.load() - 1);
    slot_ = layer_.weights->slot_of(leaving_);
    if (slot_ < 0)
        fail(KTB_ERR_ARGUMENT, "layer %d: expert %d cannot leave, for it has no slot", layer_.index,
             leaving_);
    if (entering_ != leaving_ && layer_.weights->has(entering_))
        fail(KTB_ERR_ARGUMENT, "layer %d: expert %d cannot enter, for it is in slot %d",
             layer_.index, entering_, layer_.weights->slot_of(entering_));
    packer_.emplace(*source_, entering_, layer_.layout);
    layer_.weights->changing = true;
    stage_ = Stage::checking;
}

void MoveJob::open_slot() {
    source_->end_expert(entering_);
    // Exports of the expert end before its bytes go.
    const std::lock_guard<std::mutex> lock(layer_.weights_lock);
    layer_.weights->vacate(slot_);
    stage_ = Stage::packing;
}

void MoveJob::close_slot() {
    source_->end_expert(entering_);
    const std::lock_guard<std::mutex> lock(layer_.weights_lock);
    Slot filled{entering_, {}, folds_.load()};
    for (int matrix = 0; matrix < 3; matrix++)
        filled.scale_formats[matrix] = source_->scale_format(matrix);
    layer_.weights->fill(slot_, filled);
    layer_.weights->settle();
    stage_ = Stage::done;
}

void MoveJob::work(const Worker &worker) {
    failure_.collect("out of memory for the staging buffer of a move", [&] {
        std::unique_ptr<uint8_t[]> &staging = staging_[size_t(worker.global_index)];
        if (staging == nullptr)
            staging.reset(new uint8_t[ExpertPacker::staging_bytes(source_->shape())]);
        for (int piece = next_piece_.fetch_add(1); piece < packer_->pieces() && !failure_.any();
             piece = next_piece_.fetch_add(1)) {
            const bool folds = stage_ == Stage::checking
                                   ? packer_->check(piece, staging.get())
                                   : packer_->pack(piece, staging.get(), *layer_.weights, slot_);
            if (!folds) folds_.store(false, std::memory_order_relaxed);
        }
    });
}

void MoveJob::finish(int code) {
    {
        const std::lock_guard<std::mutex> lock(layer_.weights_lock);
        // The caller's matrices changed after they were checked: the slot holds neither expert.
        if (stage_ == Stage::packing) {
            layer_.weights.hold(nullptr);
            layer_.state.store(code, std::memory_order_release);
        } else if (stage_ != Stage::waiting) {
            layer_.weights->changing = false;
        }
    }
    layer_.pending.fetch_sub(1); // from here on the layer may be destroyed
}

} // namespace ds4::ktb
