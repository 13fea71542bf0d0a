#include "experts/loading/load_job.h"

#include <algorithm>

#include "experts/loading/expert_packer.h"
#include "pool/expert_error.h"
#include "machine/memory.h"

namespace ds4::ktb {

LoadJob::LoadJob(WorkerPool &pool, HugePages huge, std::vector<Item> items, bool serial,
                 LoadProgress &progress)
    : pool_(pool), huge_(huge), items_(std::move(items)), serial_(serial), progress_(progress) {}

bool LoadJob::next(WorkerPool::Step &step) {
    if (!allocated_) allocate();
    failure_.rethrow();
    if (end_ == items_.size()) return false;
    begin_ = end_;
    end_ = serial_ ? begin_ + 1 : items_.size();
    next_unit_.store(0);
    step.context = this;
    step.run = [](void *context, const Worker &worker) {
        static_cast<LoadJob *>(context)->work(worker);
    };
    return true;
}

// Checks and reserves memory before anything is read. The old weights of a layer go first.
void LoadJob::allocate() {
    uint64_t total = 0;
    for (const Item &item : items_) {
        const std::lock_guard<std::mutex> lock(item.layer->weights_lock);
        item.layer->state.store(int(ExpertLayerState::loading));
        item.layer->weights.hold(nullptr);
        // Another thread may have chosen other experts since this load was asked for.
        item.layer->kept = item.source->shape().kept;
        total += item.source->shape().kept.size() * item.layer->layout.expert_bytes();
    }
    progress_.done_bytes.store(0);
    progress_.total_bytes.store(total);
    const uint64_t available = machine::available_memory();
    if (total > available)
        fail(KTB_ERR_MEMORY, "%zu layers need %llu MiB of memory, %llu MiB are available",
             items_.size(), (unsigned long long)(total >> 20),
             (unsigned long long)(available >> 20));
    std::vector<Placement> placements;
    for (int part = 0; part < pool_.parts(); part++)
        placements.push_back({pool_.part_node(part), huge_});
    for (const Item &item : items_) {
        const std::lock_guard<std::mutex> lock(item.layer->weights_lock);
        item.layer->weights.hold(std::make_shared<PackedWeights>(
            item.layer->layout, item.layer->shape.experts, item.source->shape().kept, placements));
    }
    allocated_ = true;
}

void LoadJob::queued() noexcept {
    for (const Item &item : items_) item.layer->pending.fetch_add(1);
}

void LoadJob::finish(int code) {
    for (const Item &item : items_) {
        const std::lock_guard<std::mutex> lock(item.layer->weights_lock);
        if (code != 0)
            item.layer->weights.hold(nullptr);
        else
            item.layer->weights->settle();
        item.layer->state.store(code != 0 ? code : int(ExpertLayerState::ready),
                                std::memory_order_release);
    }
    for (const Item &item : items_)
        item.layer->pending.fetch_sub(1); // from here on a layer may be destroyed
}

size_t LoadJob::staging_bytes() const {
    size_t most = 0;
    for (size_t i = begin_; i < end_; i++)
        most = std::max(most, ExpertPacker::staging_bytes(items_[i].source->shape()));
    return most;
}

void LoadJob::work(const Worker &) {
    failure_.collect("out of memory for the staging buffer of a loader", [this] {
        const std::unique_ptr<uint8_t[]> staging(new uint8_t[staging_bytes()]);
        int first = 0; // unit number of the layer's first slot
        size_t at = begin_;
        while (!failure_.any()) {
            const int unit = next_unit_.fetch_add(1);
            while (at < end_ && unit - first >= items_[at].layer->weights->slots())
                first += items_[at++].layer->weights->slots();
            if (at == end_) return;
            pack_expert(items_[at], unit - first, staging.get());
        }
    });
}

void LoadJob::pack_expert(const Item &item, int slot, uint8_t *staging) {
    PackedWeights &weights = *item.layer->weights;
    Slot packed = weights.slot(slot);
    const ExpertPacker packer(*item.source, packed.expert, item.layer->layout);
    for (int matrix = 0; matrix < 3; matrix++)
        packed.scale_formats[matrix] = item.source->scale_format(matrix);
    item.source->begin_expert(packed.expert);
    for (int piece = 0; piece < packer.pieces(); piece++)
        packed.folds &= packer.pack(piece, staging, weights, slot);
    item.source->end_expert(packed.expert);
    weights.fill(slot, packed);
    progress_.done_bytes.fetch_add(item.layer->layout.expert_bytes(), std::memory_order_relaxed);
}

} // namespace ds4::ktb
