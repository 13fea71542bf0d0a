#include "experts/workspace.h"

#include "pool/error.h"

namespace ds4::ktb {
namespace {

// Hands out 64-byte aligned pieces; with a null base it only counts.
struct Carver {
    uint8_t *base;
    size_t at = 0;
    template <class T> T *take(size_t count) {
        T *piece = base == nullptr ? nullptr : reinterpret_cast<T *>(base + at);
        at += (count * sizeof(T) + 63) / 64 * 64;
        return piece;
    }
};

} // namespace

void Workspace::prepare(const WorkerPool &pool, const Plan &plan, HugePages huge) {
    const LayerLayout &layout = plan.layer->layout;
    const size_t hidden = size_t(plan.layer->shape.hidden), tokens = size_t(plan.request.tokens), routes = size_t(plan.routes());
    const size_t group = plan.kernels->group_bytes;
    memory_.resize(size_t(pool.parts()));
    parts_.resize(size_t(pool.parts()));
    workers_.resize(size_t(pool.workers()));
    while (counters_.size() < size_t(pool.parts())) counters_.emplace_back();
    int first_worker = 0;
    for (int part = 0; part < pool.parts(); part++) {
        const size_t slices = size_t(layout.slices(part)), slice_groups = size_t(layout.slice_groups());
        const auto carve = [&](uint8_t *base) {
            Carver carver{base};
            PartBuffers &own = parts_[size_t(part)];
            own.inputs = carver.take<uint8_t>(tokens * size_t(layout.input_groups) * group);
            own.sums = carver.take<float>(tokens * hidden);
            own.inner = carver.take<uint8_t>(plan.fused ? 0 : routes * slices * slice_groups * group);
            own.inner_f32 = carver.take<float>(plan.fp8_reference ? routes * slices * slice_groups * kGroup : 0);
            own.routes = carver.take<float>(plan.fp8_reference ? routes * hidden : 0);
            for (int index = 0; index < pool.part_workers(part); index++) {
                WorkerBuffers &worker = workers_[size_t(first_worker + index)];
                worker.outputs = carver.take<float>(kFusedTokens * hidden);
                worker.panel = carver.take<float>(size_t(kPanelTokens) * kTileRows);
                worker.inner = carver.take<float>(plan.fused || plan.fp8_reference ? 0 : size_t(kPanelTokens) * slice_groups * kGroup);
                worker.scratch = carver.take<uint8_t>(kPanelScratchBytes);
                worker.group = carver.take<uint8_t>(kFusedTokens * slice_groups * group);
            }
            return carver.at;
        };
        const size_t needed = carve(nullptr);
        if (memory_[size_t(part)].bytes() < needed) {
            memory_[size_t(part)] = Mapping();
            const uint64_t available = available_memory();
            if (needed > available)
                fail(KTB_ERR_MEMORY, "a pass of %zu tokens needs %zu MiB of workspace, %llu MiB are available: lower max_tokens", tokens, needed >> 20, (unsigned long long)(available >> 20));
            // explicit huge pages are the weights' alone
            memory_[size_t(part)] = Mapping(needed, {pool.part_node(part), huge == HugePages::off ? huge : HugePages::automatic});
        }
        carve(memory_[size_t(part)].data());
        counters_[size_t(part)].next.store(0, std::memory_order_relaxed);
        first_worker += pool.part_workers(part);
    }
}

uint64_t Workspace::bytes() const {
    uint64_t sum = 0;
    for (const Mapping &mapping : memory_) sum += mapping.bytes();
    return sum;
}

} // namespace ds4::ktb
