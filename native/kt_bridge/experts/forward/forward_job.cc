#include "experts/forward/forward_job.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "experts/forward/io_values.h"
#include "kernels/fp8_reference.h"
#include "format/scalar.h"
#include "kt_bridge.h"
#include "pool/expert_error.h"

namespace ds4::ktb {
namespace {

constexpr int kFp8PassTokens = 512; // fp8ref keeps the activations of every route in f32 too

uint32_t micros_since(std::chrono::steady_clock::time_point &from) {
    const auto now = std::chrono::steady_clock::now();
    const auto passed = std::chrono::duration_cast<std::chrono::microseconds>(now - from).count();
    from = now;
    return uint32_t(std::min<int64_t>(passed, UINT32_MAX));
}

} // namespace

ForwardJob::ForwardJob(const Resources &resources, const ForwardRequest &request)
    : resources_(resources), request_(request) {
    for (int part = 0; part < resources.pool.parts(); part++)
        part_workers_.push_back(resources.pool.part_workers(part));
}

bool ForwardJob::next(WorkerPool::Step &step) {
    const int left = request_.tokens - position_;
    if (left <= 0) return false;
    // A load that was queued in between may have failed.
    if (const int state = request_.layer->state.load(std::memory_order_acquire);
        state != int(ExpertLayerState::ready))
        fail(KTB_ERR_STATE, "layer %d has lost its weights (status %d): load it again",
             request_.layer->index, state);
    if (position_ == 0)
        check_present(request_); // all passes: nothing is written when one cannot run
    const int limit = resources_.kernels.fp8_reference
                          ? std::min(kFp8PassTokens, resources_.max_tokens)
                          : resources_.max_tokens;
    ForwardRequest pass = request_;
    pass.tokens = std::min(left, limit);
    const size_t row = size_t(position_) * size_t(request_.layer->shape.hidden);
    const size_t slot = size_t(position_) * size_t(request_.layer->shape.experts_per_token);
    pass.input =
        static_cast<const uint8_t *>(request_.input) + row * element_bytes(request_.input_type);
    pass.output =
        static_cast<uint8_t *>(request_.output) + row * element_bytes(request_.output_type);
    pass.ids = static_cast<const uint8_t *>(request_.ids) + slot * (request_.wide_ids ? 8 : 4);
    pass.weights = request_.weights + slot;
    plan_.build(pass,
                tuned(resources_.kernels, request_.layer->tuning.load(std::memory_order_acquire)),
                part_workers_);
    resources_.workspace.prepare(resources_.pool, plan_, resources_.huge);
    position_ += pass.tokens;
    step.context = this;
    step.run = [](void *context, const Worker &worker) {
        static_cast<ForwardJob *>(context)->work(worker);
    };
    return true;
}

void ForwardJob::finish(int) { request_.layer->pending.fetch_sub(1); }

void ForwardJob::work(const Worker &worker) {
    WorkerPool &pool = resources_.pool;
    auto clock = std::chrono::steady_clock::now();
    const bool times = worker.global_index == 0;
    if (plan_.blocks > 0) plan_.tiles->begin();
    prepare_inputs(worker);
    prepare_blocks(worker);
    pool.part_barrier(worker);
    if (times) resources_.times.prepare.store(micros_since(clock), std::memory_order_relaxed);
    if (plan_.fused) {
        fused(worker);
        pool.barrier();
        if (times) resources_.times.experts.store(micros_since(clock), std::memory_order_relaxed);
        fused_sums(worker);
    } else {
        inputs_to_intermediate(worker);
        pool.part_barrier(worker);
        if (plan_.fp8_reference) {
            round_intermediate(worker);
            pool.part_barrier(worker);
        }
        // A strip is summed while slower workers still read the one before, so that two buffers
        // take turns.
        for (int strip = 0; strip < plan_.strips(); strip++) {
            intermediate_to_strip(worker, strip);
            pool.barrier();
            if (times && strip + 1 == plan_.strips())
                resources_.times.experts.store(micros_since(clock), std::memory_order_relaxed);
            strip_sums(worker, strip);
        }
    }
    if (plan_.blocks > 0) plan_.tiles->end();
    if (times) resources_.times.reduce.store(micros_since(clock), std::memory_order_relaxed);
}

// Every part has its own prepared copy of the inputs, which its workers make together.
void ForwardJob::prepare_inputs(const Worker &worker) {
    const LayerLayout &layout = plan_.layer->layout;
    const PartBuffers &part = resources_.workspace.part(worker.part);
    if (layout.slices(worker.part) == 0 || plan_.all_in_blocks) return;
    constexpr int kBlockGroups = kFp8Block / kGroup;
    const int row_blocks = layout.input_groups / kBlockGroups;
    const Range blocks =
        share(int64_t(plan_.request.tokens) * row_blocks, worker.index, worker.part_workers);
    float values[kFp8Block];
    for (int block = blocks.begin; block < blocks.end; block++) {
        load_values(plan_.request.input, plan_.request.input_type, size_t(block) * kFp8Block,
                    kFp8Block, values);
        if (plan_.fp8_reference) round_through_fp8(values, kFp8Block);
        plan_.kernels->prepare(values, kBlockGroups,
                               part.inputs +
                                   size_t(block) * kBlockGroups * plan_.kernels->group_bytes);
    }
}

// Prepares the inputs of experts on tile kernels, route by route. The tokens of an expert lie
// together.
void ForwardJob::prepare_blocks(const Worker &worker) {
    const LayerLayout &layout = plan_.layer->layout;
    const PartBuffers &part = resources_.workspace.part(worker.part);
    if (layout.slices(worker.part) == 0) return;
    constexpr int kBlockGroups = kFp8Block / kGroup;
    const Range rows =
        share(int64_t(plan_.blocks) * kBlockTokens, worker.index, worker.part_workers);
    float values[kFp8Block];
    for (int row = rows.begin; row < rows.end; row++) {
        const int route = plan_.block_routes[size_t(row)];
        if (route < 0) continue;
        const size_t token =
            size_t(plan_.route_tokens[size_t(route)]) * size_t(plan_.layer->shape.hidden);
        const bool as_it_is = plan_.request.input_type == KTB_IO_F32 && !plan_.fp8_reference;
        uint8_t *out = part.block_inputs +
                       size_t(row / kBlockTokens) * size_t(layout.input_groups) * kBlockGroupBytes +
                       size_t(row % kBlockTokens) * 64;
        if (as_it_is) {
            plan_.tiles->prepare(static_cast<const float *>(plan_.request.input) + token,
                                 layout.input_groups, out);
            continue;
        }
        for (int group = 0; group < layout.input_groups; group += kBlockGroups) {
            load_values(plan_.request.input, plan_.request.input_type,
                        token + size_t(group) * kGroup, kFp8Block, values);
            if (plan_.fp8_reference) round_through_fp8(values, kFp8Block);
            plan_.tiles->prepare(values, kBlockGroups, out + size_t(group) * kBlockGroupBytes);
        }
    }
}

// Computes the activations of one slice for `count` tokens: intermediate[i * stride ...],
// slice_channels each. next: tiles that are read after those of the slice's panels.
void ForwardJob::panel_intermediate(const Worker &worker, const uint8_t *record,
                                    const NextTiles &next, const uint8_t *const *rows, int count,
                                    float *intermediate, size_t stride) const {
    const LayerLayout &layout = plan_.layer->layout;
    const WorkerBuffers &own = resources_.workspace.worker(worker.global_index);
    for (int panel = 0; panel < layout.panels; panel++) {
        PanelArgs args{record + size_t(panel) * layout.panel_bytes,
                       layout.input_tile_bytes,
                       layout.input_groups,
                       rows,
                       count,
                       own.panel,
                       own.scratch,
                       layout.input_tile_groups};
        if (panel + 1 == layout.panels)
            args.next_begin = layout.input_groups - int(kPrefetchTiles) * layout.input_tile_groups,
            args.next_tiles = next.tiles, args.next_stride = next.stride;
        plan_.table(count).panel(args);
        activate(own.panel, panel, count, intermediate, stride);
    }
}

// Computes the 32 activations of a panel from the sums of its gate and up rows, [count, 64].
void ForwardJob::activate(float *sums, int panel, int count, float *intermediate,
                          size_t stride) const {
    for (int i = 0; i < count; i++, sums += kTileRows) {
        if (plan_.fp8_reference) round_to_bf16(sums, kTileRows);
        plan_.kernels->swiglu(sums, plan_.request.limit,
                              intermediate + size_t(i) * stride + panel * kGroup);
    }
}

// A row tile of the down rows, in the first slice of a part.
const uint8_t *ForwardJob::down_tile(int part, const ActiveExpert &active, int tile) const {
    const LayerLayout &layout = plan_.layer->layout;
    return plan_.layer->record(part, active.expert, 0) + layout.down_offset +
           size_t(tile) * layout.down_tile_bytes;
}

// Bytes of the prepared activations of a route in a part.
size_t ForwardJob::intermediate_row_bytes(int part) const {
    return size_t(plan_.layer->layout.slices(part)) * size_t(plan_.layer->layout.slice_groups()) *
           plan_.kernels->group_bytes;
}

// Stores the sums of one row tile over the chunks of a node: out[i * stride ...], 64 each. Their
// cache lines are prefetched before the products. Waiting for them afterwards takes a hundredth of
// a forward.
void ForwardJob::store_node(const Worker &worker, const DownTiles &down, const SumNode &node,
                            float *out, size_t stride) const {
    for (int i = 0; i < down.count; i++)
        for (int line = 0; line < kTileRows; line += 16)
            __builtin_prefetch(out + size_t(i) * stride + line, 1);
    const float *sums = node_panel(worker, down, node);
    for (int i = 0; i < down.count; i++)
        std::memcpy(out + size_t(i) * stride, sums + i * kTileRows, kTileRows * sizeof(float));
}

// The sums of one row tile over the chunks of a node: [count, 64]. Sums that wait for their right
// half lie on a stack.
const float *ForwardJob::node_panel(const Worker &worker, const DownTiles &down,
                                    const SumNode &node) const {
    const LayerLayout &layout = plan_.layer->layout;
    const WorkerBuffers &own = resources_.workspace.worker(worker.global_index);
    const int slices = plan_.chunk_slices(), groups = slices * layout.slice_groups(),
              read = down.slice_end - down.slice_begin;
    const size_t values = size_t(down.count) * kTileRows;
    const size_t chunk_bytes = size_t(groups) * plan_.kernels->group_bytes;
    const uint8_t *rows[kDownTokens];
    for (int t = 0; t < down.count; t++)
        rows[t] = down.rows[t] + size_t(node.first - plan_.first_chunk(worker.part)) * chunk_bytes;
    int waiting = 0;
    for (int i = 0; i < node.chunks(); i++) {
        const int chunk = node.first - plan_.first_chunk(worker.part) + i, slice = chunk * slices,
                  later = slice - down.slice_begin + int(kPrefetchTiles);
        PanelArgs args{down.tile + size_t(slice) * layout.record_bytes,
                       layout.record_bytes,
                       groups,
                       rows,
                       down.count,
                       own.nodes + size_t(waiting) * values,
                       own.scratch,
                       layout.slice_groups(),
                       kPrefetchTiles * layout.record_bytes};
        if (later >= read) {
            args.next_begin = 0, args.next_stride = layout.record_bytes;
            args.next_tiles = down.next + size_t(later / read - 1) * layout.down_tile_bytes +
                              size_t(down.slice_begin + later % read) * layout.record_bytes;
        }
        plan_.table(down.count).down_panel(args);
        for (int t = 0; t < down.count; t++) rows[t] += chunk_bytes;
        for (int odd = i; odd % 2 == 1; odd /= 2, waiting--)
            plan_.kernels->add(own.nodes + size_t(waiting) * values,
                               own.nodes + size_t(waiting - 1) * values, int(values));
        waiting++;
    }
    return own.nodes;
}

// token_sum[count] += weight * sum[count]. fp8ref rounds the product to bf16.
void ForwardJob::add_route(int route, const float *sum, float *token_sum, int count) const {
    const float weight = plan_.route_weights[size_t(route)];
    if (!plan_.fp8_reference) return plan_.kernels->add_scaled(sum, weight, token_sum, count);
    for (int i = 0; i < count; i++) token_sum[i] += bf16_to_f32(f32_to_bf16(weight * sum[i]));
}

void ForwardJob::store(int token, int begin, int end, const float *sums) const {
    const size_t at = size_t(token) * size_t(plan_.layer->shape.hidden) + size_t(begin);
    const int type = plan_.request.output_type;
    float values[kSumColumns];
    std::memcpy(values, sums, size_t(end - begin) * sizeof(float));
    if (plan_.request.incremental) {
        float before[kSumColumns];
        load_values(plan_.request.output, type, at, end - begin, before);
        for (int i = 0; i < end - begin; i++) values[i] += before[i];
    }
    store_values(values, end - begin, plan_.request.output, type, at);
}

} // namespace ds4::ktb
