// The form of a forward for few tokens: weights are read once, front to back, and every chunk is finished at once.
#include <algorithm>
#include <cstring>

#include "experts/forward_job.h"
#include "experts/sum_stack.h"
#include "kernels/fp8_reference.h"

namespace ds4::ktb {
namespace {

constexpr int kAtOnceTokens = 4; // from here on the down tiles of a chunk's slices are taken together
constexpr size_t kTilesAhead = kPrefetchTiles * kGroup / kSplitChannels; // of each slice, then

} // namespace

void ForwardJob::fused(const Worker &worker) {
    const int count = plan_.chunks(worker.part), first = plan_.first_chunk(worker.part);
    const Range units = share(int64_t(plan_.experts.size()) * count, worker.index, worker.part_workers);
    for (int unit = units.begin; unit < units.end;) {
        const ActiveExpert &active = plan_.experts[size_t(unit / count)];
        const int begin = first + unit % count, end = std::min(first + count, begin + units.end - unit);
        for (int i = active.first_partial; i < active.first_partial + active.partials; i++) {
            const PartialSum &partial = plan_.partials[size_t(i)];
            if (partial.node.first >= begin && partial.node.first < end) fused_node(worker, active, partial);
        }
        unit += end - begin;
    }
}

// Chunks in order; a sum that waits for its right half lies on a stack, the lowest one in its final place.
void ForwardJob::fused_node(const Worker &worker, const ActiveExpert &active, const PartialSum &partial) const {
    const WorkerBuffers &own = resources_.workspace.worker(worker.global_index);
    const size_t rows = size_t(active.count) * size_t(plan_.layer->shape.hidden);
    float *stack[kMaximumSumLevels + 1];
    stack[0] = resources_.workspace.part(partial.part).sums + size_t(partial.first_row) * size_t(plan_.layer->shape.hidden);
    for (int i = 1; i <= partial.node.level; i++) stack[i] = own.nodes + size_t(i - 1) * rows;
    int waiting = 0;
    for (int i = 0; i < partial.node.chunks(); i++) {
        int merged = i;
        if (takes_at_once(active) && i % 2 == 1) { // a right half is added to the left one as it is made
            fused_chunk(worker, active, partial.node.first + i, stack[--waiting], true);
            merged /= 2;
        } else {
            fused_chunk(worker, active, partial.node.first + i, stack[waiting], false);
        }
        for (; merged % 2 == 1; merged /= 2, waiting--) plan_.kernels->add(stack[waiting], stack[waiting - 1], int(rows));
        waiting++;
    }
}

// Whether the down tiles of a chunk's slices are taken together. fp8ref rounds a whole chunk together.
bool ForwardJob::takes_at_once(const ActiveExpert &active) const { return active.count >= kAtOnceTokens || plan_.fp8_reference; }

// One chunk of one expert for all its tokens: target [tokens of the expert, H], to which it is added if `adds`.
void ForwardJob::fused_chunk(const Worker &worker, const ActiveExpert &active, int chunk, float *target, bool adds) const {
    const LayerLayout &layout = plan_.layer->layout;
    const PartBuffers &part = resources_.workspace.part(worker.part);
    const WorkerBuffers &own = resources_.workspace.worker(worker.global_index);
    const size_t group_bytes = plan_.kernels->group_bytes, row_bytes = size_t(layout.input_groups) * plan_.kernels->group_bytes;
    const int slices = plan_.chunk_slices(), slice_groups = layout.slice_groups(), first_slice = (chunk - plan_.first_chunk(worker.part)) * slices;
    const size_t chunk_groups = size_t(slices) * size_t(slice_groups), stride = chunk_groups * kGroup;
    const uint8_t *rows[kFusedTokens];
    for (int i = 0; i < active.count; i++) rows[i] = part.inputs + size_t(plan_.route_tokens[size_t(active.begin + i)]) * row_bytes;
    const bool in_order = !takes_at_once(active);
    for (int slice = 0; slice < slices; slice++) {
        const uint8_t *record = plan_.layer->record(worker.part, active.expert, first_slice + slice);
        float *inner = own.inner + size_t(slice) * size_t(layout.slice_channels);
        panel_inner(worker, record, record + layout.down_offset, rows, active.count, inner, stride);
        if (plan_.fp8_reference) continue;
        for (int i = 0; i < active.count; i++)
            plan_.kernels->prepare(inner + size_t(i) * stride, slice_groups, own.group + (size_t(i) * chunk_groups + size_t(slice * slice_groups)) * group_bytes);
        if (in_order) down_in_order(worker, record, slice, active.count, target);
    }
    for (int i = 0; i < active.count && plan_.fp8_reference; i++) {
        round_through_fp8(own.inner + size_t(i) * stride, int(stride));
        plan_.kernels->prepare(own.inner + size_t(i) * stride, int(chunk_groups), own.group + size_t(i) * chunk_groups * group_bytes);
    }
    if (!in_order) down_at_once(worker, plan_.layer->record(worker.part, active.expert, first_slice), active.count, target, adds);
}

// The down tiles of one slice, front to back.
void ForwardJob::down_in_order(const Worker &worker, const uint8_t *record, int slice, int count, float *target) const {
    const LayerLayout &layout = plan_.layer->layout;
    const WorkerBuffers &own = resources_.workspace.worker(worker.global_index);
    const size_t slice_bytes = size_t(layout.slice_groups()) * plan_.kernels->group_bytes;
    const uint8_t *groups[kAtOnceTokens];
    float *outputs[kAtOnceTokens];
    for (int i = 0; i < count; i++) {
        groups[i] = own.group + size_t(i * plan_.chunk_slices() + slice) * slice_bytes;
        outputs[i] = target + size_t(i) * size_t(plan_.layer->shape.hidden);
    }
    plan_.table(count).down({record + layout.down_offset, layout.row_tiles, groups, outputs, count, slice == 0, layout.slice_groups()});
}

// The down tiles of all slices of a chunk, row tile by row tile: the sums of more tokens stay in registers.
void ForwardJob::down_at_once(const Worker &worker, const uint8_t *record, int count, float *target, bool adds) const {
    const LayerLayout &layout = plan_.layer->layout;
    const WorkerBuffers &own = resources_.workspace.worker(worker.global_index);
    const int groups = plan_.chunk_slices() * layout.slice_groups();
    const uint8_t *rows[kFusedTokens];
    for (int i = 0; i < count; i++) rows[i] = own.group + size_t(i) * size_t(groups) * plan_.kernels->group_bytes;
    for (int tile = 0; tile < layout.row_tiles; tile++) {
        plan_.table(count).down_panel({record + layout.down_offset + size_t(tile) * layout.down_tile_bytes, layout.record_bytes, groups, rows, count, own.panel, own.scratch,
                                   layout.slice_groups(), ptrdiff_t(kTilesAhead * layout.down_tile_bytes)});
        for (int i = 0; i < count; i++) {
            float *place = target + size_t(i) * size_t(plan_.layer->shape.hidden) + size_t(tile) * kTileRows;
            if (adds) plan_.kernels->add(own.panel + i * kTileRows, place, kTileRows);
            else std::memcpy(place, own.panel + i * kTileRows, kTileRows * sizeof(float));
        }
    }
}

// The rest of every route's tree, the routes of every token, and the output.
void ForwardJob::fused_sums(const Worker &worker) const {
    const int hidden = plan_.layer->shape.hidden, used = plan_.used();
    const Range strips = share(int64_t(plan_.request.tokens) * (hidden / kSumColumns), worker.global_index, worker.workers);
    alignas(64) float buffers[(kMaximumSumLevels + 1) * kSumColumns];
    SumStack stack(*plan_.kernels, buffers, kSumColumns);
    for (int strip = strips.begin; strip < strips.end; strip++) {
        const int token = strip / (hidden / kSumColumns), column = strip % (hidden / kSumColumns) * kSumColumns;
        alignas(64) float sums[kSumColumns] = {};
        for (int i = 0; i < used; i++) {
            const int route = plan_.token_routes[size_t(token) * size_t(used) + size_t(i)];
            if (route < 0) break;
            add_route(route, fused_route(route, column, stack), sums, kSumColumns);
        }
        store(token, column, column + kSumColumns, sums);
    }
}

// Columns [column, column + kSumColumns) of a route's sum.
const float *ForwardJob::fused_route(int route, int column, SumStack &stack) const {
    const ActiveExpert &active = plan_.experts[size_t(plan_.route_experts[size_t(route)])];
    for (int i = active.first_partial; i < active.first_partial + active.partials; i++) {
        const PartialSum &partial = plan_.partials[size_t(i)];
        const size_t row = size_t(partial.first_row + route - active.begin);
        stack.push(partial.node, resources_.workspace.part(partial.part).sums + row * size_t(plan_.layer->shape.hidden) + column);
    }
    return stack.total();
}

} // namespace ds4::ktb
