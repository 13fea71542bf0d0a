// The form of a forward for few tokens: a worker takes its chunks from input to output without
// waiting for others.
#include <algorithm>
#include <cstring>

#include "experts/forward/forward_job.h"
#include "experts/forward/sum_stack.h"
#include "kernels/fp8_reference.h"

namespace ds4::ktb {

void ForwardJob::fused(const Worker &worker) {
    const int count = plan_.chunks(worker.part), first = plan_.first_chunk(worker.part);
    const std::vector<int> &begin = plan_.unit_begin[size_t(worker.part)];
    const int end = begin[size_t(worker.index) + 1];
    for (int unit = begin[size_t(worker.index)]; unit < end;) {
        const ActiveExpert &active = plan_.experts[size_t(unit / count)];
        const Range chunks{first + unit % count,
                           std::min(first + count, first + unit % count + end - unit)};
        unit += chunks.end - chunks.begin;
        if (!takes_in_order(active)) {
            run_of_chunks(worker, active, chunks);
            continue;
        }
        for (int i = active.first_partial; i < active.first_partial + active.partials; i++)
            if (plan_.partials[size_t(i)].is_inside(chunks))
                in_order_node(worker, active, plan_.partials[size_t(i)]);
    }
}

// Whether weights are read once, front to back. fp8ref does not, because it rounds a whole chunk
// together.
bool ForwardJob::takes_in_order(const ActiveExpert &active) const {
    return active.count <= kInOrderTokens && !plan_.fp8_reference;
}

// Takes chunks in order. A sum that waits for its right half lies on a stack, and the lowest one in
// its final place.
void ForwardJob::in_order_node(const Worker &worker, const ActiveExpert &active,
                               const PartialSum &partial) const {
    const WorkerBuffers &own = resources_.workspace.worker(worker.global_index);
    const size_t rows = size_t(active.count) * size_t(plan_.layer->shape.hidden);
    float *stack[kMaximumSumLevels + 1];
    stack[0] = resources_.workspace.part(partial.part).sums +
               size_t(partial.first_row) * size_t(plan_.layer->shape.hidden);
    for (int i = 1; i <= partial.node.level; i++) stack[i] = own.nodes + size_t(i - 1) * rows;
    int waiting = 0;
    for (int i = 0; i < partial.node.chunks(); i++) {
        in_order_chunk(worker, active, partial.node.first + i, stack[waiting]);
        for (int odd = i; odd % 2 == 1; odd /= 2, waiting--)
            plan_.kernels->add(stack[waiting], stack[waiting - 1], int(rows));
        waiting++;
    }
}

// Takes one chunk of one expert for all its tokens, slice by slice. target: [tokens of the expert,
// H].
void ForwardJob::in_order_chunk(const Worker &worker, const ActiveExpert &active, int chunk,
                                float *target) const {
    const LayerLayout &layout = plan_.layer->layout;
    const PartBuffers &part = resources_.workspace.part(worker.part);
    const WorkerBuffers &own = resources_.workspace.worker(worker.global_index);
    const size_t row_bytes = size_t(layout.input_groups) * plan_.kernels->group_bytes,
                 slice_bytes = size_t(layout.slice_groups()) * plan_.kernels->group_bytes;
    const int slices = plan_.chunk_slices(),
              first_slice = (chunk - plan_.first_chunk(worker.part)) * slices,
              stride = layout.slice_channels;
    const uint8_t *rows[kInOrderTokens], *groups[kInOrderTokens];
    float *outputs[kInOrderTokens];
    for (int i = 0; i < active.count; i++) {
        rows[i] = part.inputs + size_t(plan_.route_tokens[size_t(active.begin + i)]) * row_bytes;
        groups[i] = own.group + size_t(i) * slice_bytes;
        outputs[i] = target + size_t(i) * size_t(plan_.layer->shape.hidden);
    }
    for (int slice = 0; slice < slices; slice++) {
        const uint8_t *record =
            plan_.layer->record(worker.part, active.expert, first_slice + slice);
        panel_intermediate(worker, record, {record + layout.down_offset, layout.down_tile_bytes},
                           rows, active.count, own.intermediate, size_t(stride));
        for (int i = 0; i < active.count; i++)
            plan_.kernels->prepare(own.intermediate + size_t(i) * size_t(stride),
                                   layout.slice_groups(), own.group + size_t(i) * slice_bytes);
        plan_.table(active.count)
            .down({record + layout.down_offset, layout.row_tiles, groups, outputs, active.count,
                   slice == 0, layout.slice_groups()});
    }
}

// Takes chunks of one expert whose products cost more than reading its weights. All activations
// come first, and then, row tile by row tile, the down products. So the sums of a row tile stay in
// L1.
void ForwardJob::run_of_chunks(const Worker &worker, const ActiveExpert &active,
                               const Range &chunks) const {
    const LayerLayout &layout = plan_.layer->layout;
    const int first = plan_.first_chunk(worker.part), slices = plan_.chunk_slices();
    const Range read{(chunks.begin - first) * slices, (chunks.end - first) * slices};
    run_to_intermediate(worker, active, read);
    const uint8_t *rows[kFusedTokens];
    for (int i = 0; i < active.count; i++)
        rows[i] = resources_.workspace.worker(worker.global_index).group +
                  size_t(i) * intermediate_row_bytes(worker.part);
    for (int tile = 0; tile < layout.row_tiles; tile++) {
        const DownTiles down{
            down_tile(worker.part, active, tile),
            down_tile(worker.part, active, std::min(tile + 1, layout.row_tiles - 1)),
            read.begin,
            read.end,
            rows,
            active.count};
        for (int i = active.first_partial; i < active.first_partial + active.partials; i++) {
            const PartialSum &partial = plan_.partials[size_t(i)];
            if (!partial.is_inside(chunks)) continue;
            float *out = resources_.workspace.part(worker.part).sums +
                         size_t(partial.first_row) * size_t(plan_.layer->shape.hidden) +
                         size_t(tile) * kTileRows;
            store_node(worker, down, partial.node, out, size_t(plan_.layer->shape.hidden));
        }
    }
}

void ForwardJob::run_to_intermediate(const Worker &worker, const ActiveExpert &active,
                                     const Range &slices) const {
    const LayerLayout &layout = plan_.layer->layout;
    const PartBuffers &part = resources_.workspace.part(worker.part);
    const WorkerBuffers &own = resources_.workspace.worker(worker.global_index);
    // Slices whose activations are prepared together.
    const int rounded = plan_.fp8_reference ? plan_.chunk_slices() : 1;
    const size_t stride = size_t(rounded) * size_t(layout.slice_channels),
                 row_bytes = size_t(layout.input_groups) * plan_.kernels->group_bytes;
    const uint8_t *rows[kFusedTokens];
    for (int i = 0; i < active.count; i++)
        rows[i] = part.inputs + size_t(plan_.route_tokens[size_t(active.begin + i)]) * row_bytes;
    for (int slice = slices.begin; slice < slices.end; slice++) {
        const int at = (slice - slices.begin) % rounded;
        const uint8_t *const record = plan_.layer->record(worker.part, active.expert, slice);
        const NextTiles next =
            slice + 1 < slices.end
                ? NextTiles{record + layout.record_bytes, layout.input_tile_bytes}
                : NextTiles{plan_.layer->record(worker.part, active.expert, slices.begin) +
                                layout.down_offset,
                            layout.record_bytes};
        panel_intermediate(worker, record, next, rows, active.count,
                           own.intermediate + size_t(at) * size_t(layout.slice_channels), stride);
        if (at + 1 < rounded) continue;
        for (int i = 0; i < active.count; i++) {
            float *const intermediate = own.intermediate + size_t(i) * stride;
            if (plan_.fp8_reference) round_through_fp8(intermediate, int(stride));
            plan_.kernels->prepare(intermediate, rounded * layout.slice_groups(),
                                   own.group + size_t(i) * intermediate_row_bytes(worker.part) +
                                       size_t(slice + 1 - rounded) * size_t(layout.slice_groups()) *
                                           plan_.kernels->group_bytes);
        }
    }
}

// Adds the rest of every route's tree and the routes of every token, and stores the output.
void ForwardJob::fused_sums(const Worker &worker) const {
    const int hidden = plan_.layer->shape.hidden, per_token = plan_.experts_per_token();
    const Range strips = share(int64_t(plan_.request.tokens) * (hidden / kSumColumns),
                               worker.global_index, worker.workers);
    alignas(64) float buffers[(kMaximumSumLevels + 1) * kSumColumns];
    SumStack stack(*plan_.kernels, buffers, kSumColumns);
    for (int strip = strips.begin; strip < strips.end; strip++) {
        const int token = strip / (hidden / kSumColumns),
                  column = strip % (hidden / kSumColumns) * kSumColumns;
        alignas(64) float sums[kSumColumns] = {};
        for (int i = 0; i < per_token; i++) {
            const int route = plan_.token_routes[size_t(token) * size_t(per_token) + size_t(i)];
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
        stack.push(partial.node, resources_.workspace.part(partial.part).sums +
                                     row * size_t(plan_.layer->shape.hidden) + column);
    }
    return stack.total();
}

} // namespace ds4::ktb
