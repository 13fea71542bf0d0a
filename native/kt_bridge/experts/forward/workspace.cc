#include "experts/forward/workspace.h"

#include <algorithm>

#include "pool/expert_error.h"
#include "machine/memory.h"

namespace ds4::ktb {
namespace {

// Hands out 64-byte aligned pieces. With a null base it only counts.
struct Carver {
    uint8_t *base;
    size_t at = 0;
    template <class T> T *take(size_t count) {
        const size_t bytes = count * sizeof(T), spaced = (bytes + kRedZoneBytes + 63) / 64 * 64;
        T *piece = base == nullptr ? nullptr : reinterpret_cast<T *>(base + at);
        if (base != nullptr) forbid(base + at + bytes, spaced - bytes);
        at += spaced;
        return piece;
    }
};

WorkerBuffers carve_worker(Carver &carver, const ForwardPlan &plan, int part) {
    const LayerLayout &layout = plan.layer->layout;
    const size_t group = plan.kernels->group_bytes, slice_groups = size_t(layout.slice_groups()),
                 slices = size_t(layout.slices(part)), hidden = size_t(plan.layer->shape.hidden),
                 chunk_groups = size_t(plan.chunk_slices()) * slice_groups,
                 levels = size_t(sum_levels(plan.all_chunks()));
    const bool has_blocks = plan.blocks > 0;
    WorkerBuffers worker;
    worker.panel =
        carver.take<float>(has_blocks ? kTileSumFloats : size_t(kPanelTokens) * kTileRows);
    worker.intermediate = carver.take<float>(
        size_t(kPanelTokens) *
        std::max({slice_groups, chunk_groups, size_t(has_blocks ? kTilePanels : 0)}) * kGroup);
    worker.scratch = carver.take<uint8_t>(
        has_blocks ? std::max(kPanelScratchBytes, kTileScratchBytes) : kPanelScratchBytes);
    worker.group =
        carver.take<uint8_t>(plan.fused ? kFusedTokens * slices * slice_groups * group : 0);
    worker.nodes = carver.take<float>(std::max(plan.fused ? levels * kInOrderTokens * hidden : 0,
                                               (levels + 1) * kDownTokens * kTileRows));
    return worker;
}

} // namespace

// Places the buffers of a part from `base` on, and returns their bytes. With a null base it only
// counts.
size_t Workspace::carve(const WorkerPool &pool, const ForwardPlan &plan, int part, int first_worker,
                        uint8_t *base) {
    const LayerLayout &layout = plan.layer->layout;
    const size_t hidden = size_t(plan.layer->shape.hidden), tokens = size_t(plan.request.tokens),
                 routes = size_t(plan.routes());
    const size_t group = plan.kernels->group_bytes, blocks = size_t(plan.blocks),
                 slices = size_t(layout.slices(part)), slice_groups = size_t(layout.slice_groups());
    Carver carver{base};
    PartBuffers &own = parts_[size_t(part)];
    own.inputs = carver.take<uint8_t>(tokens * size_t(layout.input_groups) * group);
    if (plan.fused)
        own.sums = carver.take<float>(size_t(plan.part_rows[size_t(part)]) * hidden);
    else
        own.sums = carver.take<float>(2 * plan.part_nodes[size_t(part)].size() * routes *
                                      size_t(plan.strip_tiles) * kTileRows);
    own.intermediate =
        carver.take<uint8_t>(plan.fused ? 0 : routes * slices * slice_groups * group);
    own.intermediate_f32 = carver.take<float>(
        !plan.fused && plan.fp8_reference ? routes * slices * slice_groups * kGroup : 0);
    own.block_inputs =
        carver.take<uint8_t>(blocks * size_t(layout.input_groups) * kBlockGroupBytes);
    own.block_intermediate =
        carver.take<uint8_t>(blocks * slices * slice_groups * kBlockGroupBytes);
    for (int index = 0; index < pool.part_workers(part); index++)
        workers_[size_t(first_worker + index)] = carve_worker(carver, plan, part);
    return carver.at;
}

// A prompt's passes find their memory again; decoding needs a thousandth of it.
void Workspace::review() {
    constexpr int kReviewPasses = 2048; // one for each layer of 30 to 50 steps
    peaks_.resize(memory_.size());
    if (++passes_ < kReviewPasses) return;
    passes_ = 0;
    for (size_t part = 0; part < memory_.size(); part++) {
        if (peaks_[part] * 2 + (size_t(1) << 20) < memory_[part].bytes()) memory_[part] = Mapping();
        peaks_[part] = 0;
    }
}

void Workspace::prepare(const WorkerPool &pool, const ForwardPlan &plan, HugePages huge) {
    const int parts = pool.parts();
    memory_.resize(size_t(parts));
    parts_.resize(size_t(parts));
    workers_.resize(size_t(pool.workers()));
    counters_of_part_ = plan.fused ? 1 : 1 + plan.strips();
    while (counters_.size() < size_t(parts) * size_t(counters_of_part_)) counters_.emplace_back();
    for (Counter &counter : counters_) counter.next.store(0, std::memory_order_relaxed);
    review();
    int first_worker = 0;
    for (int part = 0; part < parts; part++) {
        const size_t needed = carve(pool, plan, part, first_worker, nullptr);
        peaks_[size_t(part)] = std::max(peaks_[size_t(part)], needed);
        if (memory_[size_t(part)].bytes() < needed) {
            memory_[size_t(part)] = Mapping();
            const uint64_t available = machine::available_memory();
            if (needed > available)
                fail(KTB_ERR_MEMORY,
                     "a pass of %d tokens needs %zu MiB of workspace, %llu MiB are available: "
                     "lower max_tokens",
                     plan.request.tokens, needed >> 20, (unsigned long long)(available >> 20));
            // Explicit huge pages are for weights alone.
            memory_[size_t(part)] =
                Mapping(needed, {pool.part_node(part),
                                 huge == HugePages::off ? huge : HugePages::automatic});
        }
        allow(memory_[size_t(part)].data(), memory_[size_t(part)].bytes());
        carve(pool, plan, part, first_worker, memory_[size_t(part)].data());
        first_worker += pool.part_workers(part);
    }
    count();
}

void Workspace::count() {
    uint64_t sum = 0;
    for (const Mapping &mapping : memory_) sum += mapping.bytes();
    bytes_.store(sum, std::memory_order_relaxed);
}

} // namespace ds4::ktb
