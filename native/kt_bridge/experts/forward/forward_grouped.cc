// The form of a forward for many tokens: each expert's weights multiply all its tokens at once.
#include <algorithm>
#include <cstring>

#include "experts/forward/forward_job.h"
#include "experts/forward/sum_stack.h"
#include "kernels/fp8_reference.h"

namespace ds4::ktb {
namespace {

constexpr int kRunsOfWorker = 8; // least number that a worker claims on average
constexpr int kLongestRun = 16;

} // namespace

// Claims the next of the units [expert, largest first][expert_units]. It takes several at a time,
// so that a worker knows which weights to prefetch. A run is at most a small share of an average
// worker's units, and a single unit in the end.
Range ForwardJob::claim(std::atomic<int> &next, int expert_units, int workers) const {
    const int units = int(plan_.largest_first.size()) * expert_units,
              seen = next.load(std::memory_order_relaxed);
    if (seen >= units) return {units, units};
    const int64_t tokens =
        plan_.experts[size_t(plan_.largest_first[size_t(seen / expert_units)])].count;
    const int64_t by_work =
                      int64_t(plan_.routes()) * expert_units / (tokens * kRunsOfWorker * workers),
                  by_rest = (units - seen) / (kRunsOfWorker * workers);
    const int run = int(std::clamp<int64_t>(std::min(by_work, by_rest), 1, kLongestRun));
    const int begin = std::min(next.fetch_add(run, std::memory_order_relaxed), units);
    return {begin, std::min(begin + run, units)};
}

// Units are (expert, slice). Nothing is summed across them.
void ForwardJob::inputs_to_intermediate(const Worker &worker) {
    const int slices = plan_.layer->layout.slices(worker.part);
    if (slices == 0) return;
    const auto expert = [&](int unit) -> const ActiveExpert & {
        return plan_.experts[size_t(plan_.largest_first[size_t(unit / slices)])];
    };
    std::atomic<int> &next = resources_.workspace.counter(worker.part, 0).next;
    for (Range run = claim(next, slices, worker.part_workers); run.begin < run.end;
         run = claim(next, slices, worker.part_workers))
        for (int unit = run.begin; unit < run.end; unit++) {
            const int later = std::min(unit + 1, run.end - 1);
            slice_unit(worker, expert(unit), unit % slices,
                       plan_.layer->record(worker.part, expert(later).expert, later % slices));
        }
}

// next: the record that is read after this one.
void ForwardJob::slice_unit(const Worker &worker, const ActiveExpert &active, int slice,
                            const uint8_t *next) const {
    const LayerLayout &layout = plan_.layer->layout;
    const PartBuffers &part = resources_.workspace.part(worker.part);
    const WorkerBuffers &own = resources_.workspace.worker(worker.global_index);
    const int slices = layout.slices(worker.part);
    if (active.first_block >= 0) // one unit of kTilePanels does the work of all of them
        return slice % kTilePanels == 0
                   ? block_panels(worker, active, slice, std::min(kTilePanels, slices - slice))
                   : void();
    const size_t channels = size_t(layout.slice_channels),
                 row_bytes = size_t(layout.input_groups) * plan_.kernels->group_bytes;
    const uint8_t *const record = plan_.layer->record(worker.part, active.expert, slice),
                         *rows[kPanelTokens];
    for (int first = active.begin, end = active.begin + active.count; first < end;
         first += kPanelTokens) {
        const int count = std::min(kPanelTokens, end - first);
        for (int i = 0; i < count; i++)
            rows[i] = part.inputs + size_t(plan_.route_tokens[size_t(first + i)]) * row_bytes;
        const bool kept = plan_.fp8_reference; // rounded together with the other slices later
        float *const intermediate =
            kept ? part.intermediate_f32 +
                       (size_t(first) * size_t(slices) + size_t(slice)) * channels
                 : own.intermediate;
        const size_t stride = kept ? size_t(slices) * channels : channels;
        panel_intermediate(worker, record,
                           {first + count < end ? record : next, layout.input_tile_bytes}, rows,
                           count, intermediate, stride);
        for (int i = 0; i < count && !kept; i++)
            prepare_intermediate(worker.part, active, first + i, intermediate + size_t(i) * stride,
                                 slice * layout.slice_groups(), layout.slice_groups());
    }
}

// Multiplies `slice_count` slices of an expert on tile kernels. They are MXFP4, so that each is one
// panel.
void ForwardJob::block_panels(const Worker &worker, const ActiveExpert &active, int slice,
                              int slice_count) const {
    const LayerLayout &layout = plan_.layer->layout;
    const PartBuffers &part = resources_.workspace.part(worker.part);
    const WorkerBuffers &own = resources_.workspace.worker(worker.global_index);
    const size_t slices = size_t(layout.slices(worker.part)),
                 block_bytes = size_t(layout.input_groups) * kBlockGroupBytes;
    for (int first = 0; first < active.count; first += kPanelTokens) {
        const int count = std::min(kPanelTokens, active.count - first);
        const TilePanelArgs args{
            plan_.layer->record(worker.part, active.expert, slice),
            layout.input_tile_bytes,
            layout.record_bytes,
            slice_count,
            layout.input_groups,
            part.block_inputs + size_t(active.first_block + first / kBlockTokens) * block_bytes,
            block_bytes,
            count,
            own.panel,
            own.scratch};
        plan_.tiles->panels(args);
        const bool kept = plan_.fp8_reference; // rounded together with the other slices later
        float *intermediate =
            kept ? part.intermediate_f32 +
                       (size_t(active.begin + first) * slices + size_t(slice)) * kGroup
                 : own.intermediate;
        const size_t stride = (kept ? slices : size_t(kTilePanels)) * kGroup;
        for (int p = 0; p < slice_count; p++)
            activate(own.panel + size_t(p) * args.panel_sums(), p, count, intermediate, stride);
        for (int i = 0; i < count && !kept; i++)
            prepare_intermediate(worker.part, active, active.begin + first + i,
                                 intermediate + size_t(i) * stride, slice, slice_count);
    }
}

// Prepares activations of `groups` groups of a route, in the form that its expert's kernels take.
void ForwardJob::prepare_intermediate(int part, const ActiveExpert &active, int route,
                                      const float *intermediate, int first_group,
                                      int groups) const {
    const PartBuffers &own = resources_.workspace.part(part);
    const size_t row_groups =
        size_t(plan_.layer->layout.slices(part)) * size_t(plan_.layer->layout.slice_groups());
    if (active.first_block < 0) {
        plan_.kernels->prepare(intermediate, groups,
                               own.intermediate +
                                   (size_t(route) * row_groups + size_t(first_group)) *
                                       plan_.kernels->group_bytes);
        return;
    }
    const size_t index = size_t(route - active.begin),
                 block = size_t(active.first_block) + index / kBlockTokens;
    plan_.tiles->prepare(intermediate, groups,
                         own.block_intermediate +
                             (block * row_groups + size_t(first_group)) * kBlockGroupBytes +
                             index % kBlockTokens * 64);
}

void ForwardJob::round_intermediate(const Worker &worker) {
    const PartBuffers &part = resources_.workspace.part(worker.part);
    const int groups =
        plan_.layer->layout.slices(worker.part) * plan_.layer->layout.slice_groups(); // of a route
    const Range routes = share(plan_.routes(), worker.index, worker.part_workers);
    for (int route = routes.begin; route < routes.end && groups > 0; route++) {
        float *intermediate = part.intermediate_f32 + size_t(route) * size_t(groups) * kGroup;
        round_through_fp8(intermediate, groups * kGroup);
        prepare_intermediate(worker.part, plan_.experts[size_t(plan_.route_experts[size_t(route)])],
                             route, intermediate, 0, groups);
    }
}

// Units are (expert, row tile of the strip). Each has places of its own.
void ForwardJob::intermediate_to_strip(const Worker &worker, int strip) {
    const LayerLayout &layout = plan_.layer->layout;
    if (layout.slices(worker.part) == 0) return;
    const int first_tile = strip * plan_.strip_tiles,
              tiles = std::min(plan_.strip_tiles, layout.row_tiles - first_tile);
    const auto expert = [&](int unit) -> const ActiveExpert & {
        return plan_.experts[size_t(plan_.largest_first[size_t(unit / tiles)])];
    };
    std::atomic<int> &next = resources_.workspace.counter(worker.part, 1 + strip).next;
    for (Range run = claim(next, tiles, worker.part_workers); run.begin < run.end;
         run = claim(next, tiles, worker.part_workers))
        for (int unit = run.begin; unit < run.end; unit++) {
            const int later = std::min(unit + 1, run.end - 1);
            strip_unit(worker, expert(unit), strip, first_tile + unit % tiles,
                       down_tile(worker.part, expert(later), first_tile + later % tiles));
        }
}

// next: the tile that is read after this one.
void ForwardJob::strip_unit(const Worker &worker, const ActiveExpert &active, int strip, int tile,
                            const uint8_t *next) const {
    if (active.first_block >= 0) { // one unit of kTilePanels does the work of all of them
        const int in_strip = tile - strip * plan_.strip_tiles,
                  left = std::min((strip + 1) * plan_.strip_tiles, plan_.layer->layout.row_tiles) -
                         tile;
        return in_strip % kTilePanels == 0
                   ? block_strip_units(worker, active, strip, tile, std::min(kTilePanels, left))
                   : void();
    }
    const LayerLayout &layout = plan_.layer->layout;
    const PartBuffers &part = resources_.workspace.part(worker.part);
    const size_t inner_bytes = intermediate_row_bytes(worker.part);
    const uint8_t *const first_tile = down_tile(worker.part, active, tile), *rows[kDownTokens];
    const std::vector<SumNode> &nodes = plan_.part_nodes[size_t(worker.part)];
    for (int first = active.begin, end = active.begin + active.count; first < end;
         first += kDownTokens) {
        const int count = std::min(kDownTokens, end - first);
        for (int i = 0; i < count; i++)
            rows[i] = part.intermediate + size_t(first + i) * inner_bytes;
        const DownTiles tiles{first_tile, first + count < end ? first_tile : next,
                              0,          layout.slices(worker.part),
                              rows,       count};
        for (size_t node = 0; node < nodes.size(); node++)
            store_node(worker, tiles, nodes[node],
                       strip_row(worker.part, strip, int(node), first) +
                           (tile - strip * plan_.strip_tiles) * kTileRows,
                       size_t(plan_.strip_tiles) * kTileRows);
    }
}

// Multiplies `tiles` row tiles of an expert on tile kernels. A node is one chain.
void ForwardJob::block_strip_units(const Worker &worker, const ActiveExpert &active, int strip,
                                   int tile, int tiles) const {
    const LayerLayout &layout = plan_.layer->layout;
    const PartBuffers &part = resources_.workspace.part(worker.part);
    const WorkerBuffers &own = resources_.workspace.worker(worker.global_index);
    const size_t block_bytes =
        size_t(layout.slices(worker.part)) * size_t(layout.slice_groups()) * kBlockGroupBytes;
    const uint8_t *first_tile = down_tile(worker.part, active, tile);
    const std::vector<SumNode> &nodes = plan_.part_nodes[size_t(worker.part)];
    for (int first = 0; first < active.count; first += kPanelTokens) {
        const int count = std::min(kPanelTokens, active.count - first);
        const uint8_t *blocks = part.block_intermediate +
                                size_t(active.first_block + first / kBlockTokens) * block_bytes;
        for (size_t node = 0; node < nodes.size(); node++) {
            const size_t slice = size_t(nodes[node].first - plan_.first_chunk(worker.part)) *
                                 size_t(plan_.chunk_slices());
            const TilePanelArgs args{
                first_tile + slice * layout.record_bytes,
                layout.record_bytes,
                layout.down_tile_bytes,
                tiles,
                nodes[node].chunks() * plan_.chunk_slices() * layout.slice_groups(),
                blocks + slice * size_t(layout.slice_groups()) * kBlockGroupBytes,
                block_bytes,
                count,
                own.panel,
                own.scratch};
            plan_.tiles->panels(args);
            float *out = strip_row(worker.part, strip, int(node), active.begin + first) +
                         (tile - strip * plan_.strip_tiles) * kTileRows;
            const size_t columns = size_t(plan_.strip_tiles) * kTileRows;
            for (int i = 0; i < count; i++, out += columns)
                for (int p = 0; p < tiles; p++)
                    std::memcpy(out + p * kTileRows,
                                own.panel + size_t(p) * args.panel_sums() + size_t(i) * kTileRows,
                                kTileRows * sizeof(float));
        }
    }
}

float *ForwardJob::strip_row(int part, int strip, int node, int route) const {
    const size_t columns = size_t(plan_.strip_tiles) * kTileRows,
                 nodes = plan_.part_nodes[size_t(part)].size();
    return resources_.workspace.part(part).sums +
           ((size_t(strip % 2) * nodes + size_t(node)) * size_t(plan_.routes()) + size_t(route)) *
               columns;
}

// Adds the rest of every route's tree and the routes of every token, and stores the output, in the
// columns of the strip.
void ForwardJob::strip_sums(const Worker &worker, int strip) const {
    const int first_tile = strip * plan_.strip_tiles,
              tiles = std::min(plan_.strip_tiles, plan_.layer->layout.row_tiles - first_tile),
              per_token = plan_.experts_per_token();
    const Range tokens = share(plan_.request.tokens, worker.global_index, worker.workers);
    alignas(64) float buffers[(kMaximumSumLevels + 1) * kSumColumns];
    SumStack stack(*plan_.kernels, buffers, kSumColumns);
    for (int token = tokens.begin; token < tokens.end; token++)
        for (int tile = 0; tile < tiles; tile++) {
            alignas(64) float sums[kSumColumns] = {};
            for (int i = 0; i < per_token; i++) {
                const int route = plan_.token_routes[size_t(token) * size_t(per_token) + size_t(i)];
                if (route < 0) break;
                for (int part = 0; part < plan_.layer->layout.parts(); part++)
                    for (size_t node = 0; node < plan_.part_nodes[size_t(part)].size(); node++)
                        stack.push(plan_.part_nodes[size_t(part)][node],
                                   strip_row(part, strip, int(node), route) + tile * kTileRows);
                add_route(route, stack.total(), sums, kSumColumns);
            }
            const int column = (first_tile + tile) * kTileRows;
            store(token, column, column + kSumColumns, sums);
        }
}

} // namespace ds4::ktb
