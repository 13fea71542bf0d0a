#include "experts/forward_job.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "kernels/fp8_reference.h"
#include "kernels/scalar.h"
#include "kt_bridge.h"
#include "pool/error.h"

namespace ds4::ktb {
namespace {

constexpr int kStrip = 64;         // columns summed at a time
constexpr int kFp8PassTokens = 64; // fp8ref keeps every route's output: short passes keep it small

struct Range {
    int begin, end;
};
Range share(int64_t total, int index, int workers) { return {int(total * index / workers), int(total * (index + 1) / workers)}; }

size_t element_bytes(int io_type) { return io_type == KTB_IO_BF16 ? 2 : 4; }

// `count` values from element `at` of an array of io_type; alignment of 2 or 4 bytes is not required.
void load_values(const void *source, int io_type, size_t at, int count, float *out) {
    if (io_type == KTB_IO_F32) {
        std::memcpy(out, static_cast<const uint8_t *>(source) + at * 4, size_t(count) * 4);
        return;
    }
    const uint8_t *words = static_cast<const uint8_t *>(source) + at * 2;
    for (int i = 0; i < count; i++) {
        uint16_t word;
        std::memcpy(&word, words + i * 2, 2);
        out[i] = f32_from_bf16(word);
    }
}

uint32_t micros_since(std::chrono::steady_clock::time_point &from) {
    const auto now = std::chrono::steady_clock::now();
    const auto passed = std::chrono::duration_cast<std::chrono::microseconds>(now - from).count();
    from = now;
    return uint32_t(std::min<int64_t>(passed, UINT32_MAX));
}

} // namespace

bool ForwardJob::next(WorkerPool::Step &step) {
    const int left = request_.tokens - position_;
    if (left <= 0) return false;
    // a load that was queued in between may have failed
    if (const int state = request_.layer->state.load(std::memory_order_acquire); state != int(LayerState::ready))
        fail(KTB_ERR_STATE, "layer %d has lost its weights (status %d): load it again", request_.layer->index, state);
    const int limit = resources_.fp8_reference ? std::min(kFp8PassTokens, resources_.max_tokens) : resources_.max_tokens;
    ForwardRequest pass = request_;
    pass.tokens = std::min(left, limit);
    const size_t row = size_t(position_) * size_t(request_.layer->shape.hidden);
    const size_t slot = size_t(position_) * size_t(request_.layer->shape.used);
    pass.input = static_cast<const uint8_t *>(request_.input) + row * element_bytes(request_.input_type);
    pass.output = static_cast<uint8_t *>(request_.output) + row * element_bytes(request_.output_type);
    pass.ids = static_cast<const uint8_t *>(request_.ids) + slot * (request_.wide_ids ? 8 : 4);
    pass.weights = request_.weights + slot;
    plan_.build(pass, resources_.kernels, resources_.fp8_reference);
    resources_.workspace.prepare(resources_.pool, plan_, resources_.huge);
    position_ += pass.tokens;
    step.context = this;
    step.run = [](void *context, const Worker &worker) { static_cast<ForwardJob *>(context)->work(worker); };
    return true;
}

void ForwardJob::finish(int) { request_.layer->pending.fetch_sub(1); }

void ForwardJob::work(const Worker &worker) {
    WorkerPool &pool = resources_.pool;
    auto clock = std::chrono::steady_clock::now();
    const bool times = worker.global_index == 0;
    prepare_inputs(worker);
    pool.part_barrier(worker);
    if (times) resources_.times.prepare.store(micros_since(clock), std::memory_order_relaxed);
    if (plan_.fused) {
        fused(worker);
        pool.part_barrier(worker);
    } else {
        inputs_to_inner(worker);
        pool.part_barrier(worker);
        if (plan_.fp8_reference) {
            round_inner(worker);
            pool.part_barrier(worker);
        }
        inner_to_outputs(worker);
    }
    if (times) resources_.times.experts.store(micros_since(clock), std::memory_order_relaxed);
    if (plan_.fused) sum_workers(worker);
    if (!plan_.fused || pool.parts() > 1) {
        pool.barrier();
        sum_parts(worker);
    }
    if (times) resources_.times.reduce.store(micros_since(clock), std::memory_order_relaxed);
}

// Every part has its own prepared copy of the inputs; its workers share the making of it.
void ForwardJob::prepare_inputs(const Worker &worker) {
    const LayerLayout &layout = plan_.layer->layout;
    const PartBuffers &part = resources_.workspace.part(worker.part);
    if (layout.slices(worker.part) == 0) return;
    constexpr int kBlockGroups = kFp8Block / kGroup;
    const int row_blocks = layout.input_groups / kBlockGroups;
    const Range blocks = share(int64_t(plan_.request.tokens) * row_blocks, worker.index, worker.part_workers);
    float values[kFp8Block];
    for (int block = blocks.begin; block < blocks.end; block++) {
        load_values(plan_.request.input, plan_.request.input_type, size_t(block) * kFp8Block, kFp8Block, values);
        if (plan_.fp8_reference) round_through_fp8(values, kFp8Block);
        plan_.kernels->prepare(values, kBlockGroups, part.inputs + size_t(block) * kBlockGroups * plan_.kernels->group_bytes);
    }
}

void ForwardJob::fused(const Worker &worker) {
    const LayerLayout &layout = plan_.layer->layout;
    const int slices = layout.slices(worker.part);
    const size_t hidden = size_t(plan_.layer->shape.hidden);
    std::memset(resources_.workspace.worker(worker.global_index).outputs, 0, size_t(plan_.request.tokens) * hidden * sizeof(float));
    const Range units = share(int64_t(plan_.experts.size()) * slices, worker.index, worker.part_workers);
    for (int unit = units.begin; unit < units.end; unit++) fused_unit(worker, plan_.experts[size_t(unit / slices)], unit % slices);
}

// One slice of one expert for its tokens, a token at most once per kFusedTokens routes of the expert.
void ForwardJob::fused_unit(const Worker &worker, const ActiveExpert &active, int slice) {
    const LayerLayout &layout = plan_.layer->layout;
    const PartBuffers &part = resources_.workspace.part(worker.part);
    const WorkerBuffers &own = resources_.workspace.worker(worker.global_index);
    const size_t group_bytes = plan_.kernels->group_bytes, slice_bytes = size_t(layout.slice_groups()) * group_bytes;
    const uint8_t *record = plan_.layer->record(worker.part, active.expert, slice);
    const uint8_t *rows[kFusedTokens], *groups[kFusedTokens];
    float *outputs[kFusedTokens];
    for (int first = 0; first < active.count; first += kFusedTokens) {
        const int count = std::min(kFusedTokens, active.count - first);
        for (int i = 0; i < count; i++) {
            const size_t token = size_t(plan_.route_tokens[size_t(active.begin + first + i)]);
            rows[i] = part.inputs + token * size_t(layout.input_groups) * group_bytes;
            groups[i] = own.group + size_t(i) * slice_bytes;
            outputs[i] = own.outputs + token * size_t(plan_.layer->shape.hidden);
        }
        float inner[kFusedTokens][kMaximumSliceChannels];
        for (int panel = 0; panel < layout.panels; panel++) {
            plan_.kernels->panel({record + size_t(panel) * layout.panel_bytes, layout.input_tile_bytes, layout.input_groups, rows, count, own.panel, own.scratch, plan_.layer->scales_fold,
                                  layout.input_tile_groups});
            for (int i = 0; i < count; i++) plan_.kernels->swiglu(own.panel + i * kTileRows, plan_.request.limit, inner[i] + panel * kGroup);
        }
        for (int i = 0; i < count; i++) plan_.kernels->prepare(inner[i], layout.slice_groups(), own.group + size_t(i) * slice_bytes);
        plan_.kernels->down({record + layout.down_offset, layout.row_tiles, groups, &plan_.route_weights[size_t(active.begin + first)], outputs, count, layout.slice_groups()});
    }
}

// Adds the sums of the part's workers, in their order; with one part that is the result.
void ForwardJob::sum_workers(const Worker &worker) {
    const int hidden = plan_.layer->shape.hidden;
    const Range strips = share(int64_t(plan_.request.tokens) * (hidden / kStrip), worker.index, worker.part_workers);
    const int first_worker = worker.global_index - worker.index;
    for (int strip = strips.begin; strip < strips.end; strip++) {
        const size_t at = size_t(strip) * kStrip;
        float sums[kStrip];
        std::memcpy(sums, resources_.workspace.worker(first_worker).outputs + at, sizeof sums);
        for (int other = 1; other < worker.part_workers; other++) {
            const float *outputs = resources_.workspace.worker(first_worker + other).outputs + at;
            for (int i = 0; i < kStrip; i++) sums[i] += outputs[i];
        }
        if (resources_.pool.parts() == 1) store(int(at) / hidden, int(at) % hidden, int(at) % hidden + kStrip, sums);
        else std::memcpy(resources_.workspace.part(worker.part).sums + at, sums, sizeof sums);
    }
}

void ForwardJob::inputs_to_inner(const Worker &worker) {
    const LayerLayout &layout = plan_.layer->layout;
    const PartBuffers &part = resources_.workspace.part(worker.part);
    const Kernels &kernels = *plan_.kernels;
    const int slices = layout.slices(worker.part);
    const int units = int(plan_.largest_first.size()) * slices;
    const uint8_t *rows[kPanelTokens];
    std::atomic<int> &next = resources_.workspace.counter(worker.part).next;
    for (int unit = next.fetch_add(1, std::memory_order_relaxed); unit < units; unit = next.fetch_add(1, std::memory_order_relaxed)) {
        const ActiveExpert &active = plan_.experts[size_t(plan_.largest_first[size_t(unit / slices)])];
        const int slice = unit % slices;
        for (int first = active.begin; first < active.begin + active.count; first += kPanelTokens) {
            const int count = std::min(kPanelTokens, active.begin + active.count - first);
            for (int i = 0; i < count; i++)
                rows[i] = part.inputs + size_t(plan_.route_tokens[size_t(first + i)]) * size_t(layout.input_groups) * kernels.group_bytes;
            const size_t at = size_t(first) * size_t(slices) + size_t(slice);
            slice_inner(worker, plan_.layer->record(worker.part, active.expert, slice), rows, count, at);
        }
    }
}

// Activations h of one slice for `count` routes; route i's are slice at + i * slices of the part's buffer.
void ForwardJob::slice_inner(const Worker &worker, const uint8_t *record, const uint8_t *const *rows, int count, size_t at) {
    const LayerLayout &layout = plan_.layer->layout;
    const PartBuffers &part = resources_.workspace.part(worker.part);
    const WorkerBuffers &own = resources_.workspace.worker(worker.global_index);
    const Kernels &kernels = *plan_.kernels;
    const size_t slices = size_t(layout.slices(worker.part)), channels = size_t(layout.slice_channels);
    float *const staged = plan_.fp8_reference ? part.inner_f32 + at * channels : own.inner;
    const size_t stride = plan_.fp8_reference ? slices * channels : channels;
    for (int panel = 0; panel < layout.panels; panel++) {
        kernels.panel({record + size_t(panel) * layout.panel_bytes, layout.input_tile_bytes, layout.input_groups, rows, count, own.panel, own.scratch, plan_.layer->scales_fold,
                       layout.input_tile_groups});
        for (int i = 0; i < count; i++) {
            float *sums = own.panel + i * kTileRows;
            if (plan_.fp8_reference) round_to_bf16(sums, kTileRows);
            kernels.swiglu(sums, plan_.request.limit, staged + size_t(i) * stride + panel * kGroup);
        }
    }
    if (plan_.fp8_reference) return;
    const size_t slice_bytes = size_t(layout.slice_groups()) * kernels.group_bytes;
    for (int i = 0; i < count; i++) kernels.prepare(staged + size_t(i) * stride, layout.slice_groups(), part.inner + (at + size_t(i) * slices) * slice_bytes);
}

void ForwardJob::round_inner(const Worker &worker) {
    const PartBuffers &part = resources_.workspace.part(worker.part);
    const int groups = plan_.layer->layout.slices(worker.part) * plan_.layer->layout.slice_groups(); // of a route
    const Range routes = share(plan_.routes(), worker.index, worker.part_workers);
    for (int route = routes.begin; route < routes.end && groups > 0; route++) {
        float *inner = part.inner_f32 + size_t(route) * size_t(groups) * kGroup;
        round_through_fp8(inner, groups * kGroup);
        plan_.kernels->prepare(inner, groups, part.inner + size_t(route) * size_t(groups) * plan_.kernels->group_bytes);
    }
}

// This worker's row tiles of every expert, in expert order.
void ForwardJob::inner_to_outputs(const Worker &worker) {
    const LayerLayout &layout = plan_.layer->layout;
    const PartBuffers &part = resources_.workspace.part(worker.part);
    const WorkerBuffers &own = resources_.workspace.worker(worker.global_index);
    const Kernels &kernels = *plan_.kernels;
    const int slices = layout.slices(worker.part);
    const size_t hidden = size_t(plan_.layer->shape.hidden), inner_bytes = size_t(slices) * size_t(layout.slice_groups()) * kernels.group_bytes;
    const Range tiles = share(layout.row_tiles, worker.index, worker.part_workers);
    if (!plan_.fp8_reference)
        for (int token = 0; token < plan_.request.tokens; token++)
            std::memset(part.sums + size_t(token) * hidden + size_t(tiles.begin) * kTileRows, 0, size_t(tiles.end - tiles.begin) * kTileRows * sizeof(float));
    if (slices == 0) return;
    const uint8_t *rows[kPanelTokens];
    for (const ActiveExpert &active : plan_.experts) {
        const uint8_t *first_tile = plan_.layer->record(worker.part, active.expert, 0) + layout.down_offset;
        for (int tile = tiles.begin; tile < tiles.end; tile++)
            for (int first = active.begin; first < active.begin + active.count; first += kPanelTokens) {
                const int count = std::min(kPanelTokens, active.begin + active.count - first);
                for (int i = 0; i < count; i++) rows[i] = part.inner + size_t(first + i) * inner_bytes;
                kernels.down_panel({first_tile + size_t(tile) * layout.down_tile_bytes, layout.record_bytes, slices * layout.slice_groups(), rows, count, own.panel, own.scratch,
                               plan_.layer->scales_fold, layout.slice_groups()});
                for (int i = 0; i < count; i++) {
                    const size_t column = size_t(tile) * kTileRows, route = size_t(first + i);
                    const float *sums = own.panel + i * kTileRows;
                    if (plan_.fp8_reference) std::memcpy(part.routes + route * hidden + column, sums, kTileRows * sizeof(float));
                    else kernels.add_scaled(sums, plan_.route_weights[route], part.sums + size_t(plan_.route_tokens[route]) * hidden + column);
                }
            }
    }
}

void ForwardJob::sum_parts(const Worker &worker) {
    const int hidden = plan_.layer->shape.hidden;
    const Range strips = share(int64_t(plan_.request.tokens) * (hidden / kStrip), worker.global_index, worker.workers);
    for (int strip = strips.begin; strip < strips.end; strip++) {
        const size_t at = size_t(strip) * kStrip;
        const int token = int(at / size_t(hidden)), begin = int(at % size_t(hidden));
        float sums[kStrip];
        if (plan_.fp8_reference) {
            sum_routes(worker, token, begin, begin + kStrip, sums);
        } else {
            std::memcpy(sums, resources_.workspace.part(0).sums + at, sizeof sums);
            for (int part = 1; part < resources_.pool.parts(); part++)
                for (int i = 0; i < kStrip; i++) sums[i] += resources_.workspace.part(part).sums[at + size_t(i)];
        }
        store(token, begin, begin + kStrip, sums);
    }
}

// fp8ref: weight * (sum over parts) is rounded to bf16 per route, routes in slot order.
void ForwardJob::sum_routes(const Worker &, int token, int begin, int end, float *sums) const {
    const size_t hidden = size_t(plan_.layer->shape.hidden), used = size_t(plan_.layer->shape.used);
    std::fill(sums, sums + (end - begin), 0.0f);
    for (size_t slot = size_t(token) * used; slot < (size_t(token) + 1) * used; slot++) {
        const int route = plan_.slot_routes[slot];
        if (route < 0) continue;
        for (int column = begin; column < end; column++) {
            float value = 0;
            for (int part = 0; part < resources_.pool.parts(); part++)
                if (plan_.layer->layout.slices(part) > 0) value += resources_.workspace.part(part).routes[size_t(route) * hidden + size_t(column)];
            sums[column - begin] += f32_from_bf16(bf16_from_f32(plan_.route_weights[size_t(route)] * value));
        }
    }
}

void ForwardJob::store(int token, int begin, int end, const float *sums) const {
    const size_t at = size_t(token) * size_t(plan_.layer->shape.hidden) + size_t(begin);
    const int type = plan_.request.output_type;
    float values[kStrip];
    std::memcpy(values, sums, size_t(end - begin) * sizeof(float));
    if (plan_.request.incremental) {
        float before[kStrip];
        load_values(plan_.request.output, type, at, end - begin, before);
        for (int i = 0; i < end - begin; i++) values[i] += before[i];
    }
    uint8_t *out = static_cast<uint8_t *>(plan_.request.output) + at * element_bytes(type);
    if (type == KTB_IO_F32) {
        std::memcpy(out, values, size_t(end - begin) * 4);
        return;
    }
    uint16_t words[kStrip];
    for (int i = 0; i < end - begin; i++) words[i] = bf16_from_f32(values[i]);
    std::memcpy(out, words, size_t(end - begin) * 2);
}

} // namespace ds4::ktb
