#include "experts/forward/forward_plan.h"

#include <algorithm>

#include "pool/expert_error.h"

namespace ds4::ktb {

KernelChoice tuned(const KernelChoice &choice, const Tuning *tuning) {
    KernelChoice made = choice;
    if (tuning == nullptr || choice.is_trial) return made;
    std::copy(std::begin(tuning->kernels), std::end(tuning->kernels), made.kernels);
    made.fused_tokens = tuning->fused_tokens;
    if (tuning->tile_tokens > 0) made.tile_tokens = tuning->tile_tokens;
    return made;
}

void check_present(const ForwardRequest &request) {
    const ExpertLayer &layer = *request.layer;
    if (layer.weights->slots() == layer.shape.experts) return;
    for (size_t route = 0; route < size_t(request.tokens) * size_t(layer.shape.experts_per_token);
         route++)
        if (const int expert = request.expert_of(route); expert >= 0 && !layer.weights->has(expert))
            fail(KTB_ERR_ARGUMENT,
                 "layer %d: expert %d of token %zu has no slot: %d of %d experts are here",
                 layer.index, expert, route / size_t(layer.shape.experts_per_token),
                 layer.weights->slots(), layer.shape.experts);
}

void ForwardPlan::build(const ForwardRequest &pass, const KernelChoice &choice,
                        const std::vector<int> &part_workers) {
    request = pass;
    layer = pass.layer;
    kernels = choice.kernels[0];
    std::copy(std::begin(choice.kernels), std::end(choice.kernels), tables);
    tiles = layer->weights->scales_fold() && choice.tile_tokens > 0 ? choice.tiles : nullptr;
    fp8_reference = choice.fp8_reference;
    blocks = 0;
    all_in_blocks = false;
    group_routes();
    largest_first.resize(experts.size());
    for (size_t i = 0; i < experts.size(); i++) largest_first[i] = int(i);
    std::stable_sort(largest_first.begin(), largest_first.end(), [this](int a, int b) {
        return experts[size_t(a)].count > experts[size_t(b)].count;
    });
    const int most = experts.empty() ? 0 : experts[size_t(largest_first[0])].count;
    fused = most <= choice.fused_tokens && routes() <= kFusedRoutes &&
            (tiles == nullptr || most < choice.tile_tokens);
    if (fused) {
        deal_units(part_workers);
        return place_partials();
    }
    place_strips();
    if (tiles != nullptr) place_blocks(choice.tile_tokens);
}

void ForwardPlan::group_routes() {
    const int all = layer->shape.experts;
    const size_t slots = size_t(request.tokens) * size_t(experts_per_token());
    counts_.assign(size_t(all), 0);
    for (size_t slot = 0; slot < slots; slot++)
        if (const int expert = request.expert_of(slot); expert >= 0) counts_[size_t(expert)]++;
    experts.clear();
    route_experts.clear();
    int routes = 0;
    for (int expert = 0; expert < all; expert++) {
        const int count = counts_[size_t(expert)];
        if (count > 0) {
            route_experts.insert(route_experts.end(), size_t(count), int32_t(experts.size()));
            experts.push_back({expert, routes, count, 0, 0, -1});
        }
        counts_[size_t(expert)] = routes;
        routes += count;
    }
    route_tokens.resize(size_t(routes));
    route_weights.resize(size_t(routes));
    token_routes.assign(slots, -1);
    for (int token = 0; token < request.tokens; token++) {
        const size_t first = size_t(token) * size_t(experts_per_token());
        int kept = 0;
        for (size_t slot = first; slot < first + size_t(experts_per_token()); slot++) {
            const int expert = request.expert_of(slot);
            if (expert < 0) continue;
            const int route = counts_[size_t(expert)]++;
            route_tokens[size_t(route)] = token;
            route_weights[size_t(route)] = request.weights[slot];
            token_routes[first + size_t(kept++)] = route;
        }
        std::sort(token_routes.begin() + long(first), token_routes.begin() + long(first) + kept);
    }
}

// Gives each worker a contiguous range of equal work. A few tokens of an expert take as long as
// reading its weights.
void ForwardPlan::deal_units(const std::vector<int> &part_workers) {
    const auto work_of_chunk = [this](size_t index) {
        return int64_t(std::max(experts[index].count, kInOrderTokens));
    };
    int64_t work = 0; // in one chunk of every expert
    for (size_t index = 0; index < experts.size(); index++) work += work_of_chunk(index);
    unit_begin.resize(part_workers.size());
    for (int part = 0; part < int(part_workers.size()); part++) {
        const int64_t count = chunks(part), workers = part_workers[size_t(part)];
        std::vector<int> &begin = unit_begin[size_t(part)];
        begin.assign(size_t(workers) + 1, int(int64_t(experts.size()) * count));
        size_t index = 0;
        for (int64_t worker = 0, before = 0; worker < workers && work * count > 0; worker++) {
            const int64_t at = work * count * worker / workers;
            while (before + work_of_chunk(index) * count <= at)
                before += work_of_chunk(index++) * count;
            begin[size_t(worker)] =
                int(int64_t(index) * count + (at - before) / work_of_chunk(index));
        }
    }
}

// A worker sums the largest nodes inside its chunks of an expert.
void ForwardPlan::place_partials() {
    const size_t parts = unit_begin.size();
    partials.clear();
    part_rows.assign(parts, 0);
    std::vector<size_t> worker(parts, 0); // the one that has the next chunk
    for (size_t index = 0; index < experts.size(); index++) {
        ActiveExpert &active = experts[index];
        active.first_partial = int(partials.size());
        for (size_t part = 0; part < parts; part++) {
            const int first = int(index) * chunks(int(part)), last = first + chunks(int(part)),
                      shift = first_chunk(int(part)) - first;
            for (int unit = first; unit < last;) {
                while (unit_begin[part][worker[part] + 1] <= unit) worker[part]++;
                const int end = std::min(last, unit_begin[part][worker[part] + 1]);
                for (const SumNode &node : sum_nodes(unit + shift, end + shift)) {
                    partials.push_back({node, int(part), part_rows[part]});
                    part_rows[part] += active.count;
                }
                unit = end;
            }
        }
        active.partials = int(partials.size()) - active.first_partial;
    }
}

void ForwardPlan::place_strips() {
    part_nodes.clear();
    size_t most = 1;
    for (int part = 0; part < layer->layout.parts(); part++) {
        part_nodes.push_back(sum_nodes(first_chunk(part), first_chunk(part) + chunks(part)));
        most = std::max(most, part_nodes.back().size());
    }
    const size_t tile_bytes = most * size_t(std::max(routes(), 1)) * kTileRows * sizeof(float);
    strip_tiles =
        int(std::clamp<size_t>(kStripBytes / tile_bytes, 1, size_t(layer->layout.row_tiles)));
    if (tiles != nullptr && strip_tiles > kTilePanels)
        strip_tiles -= strip_tiles % kTilePanels; // a unit of tile kernels
}

void ForwardPlan::place_blocks(int tile_tokens) {
    block_routes.clear();
    all_in_blocks = true;
    for (ActiveExpert &active : experts) {
        if (active.count < tile_tokens) {
            all_in_blocks = false;
            continue;
        }
        active.first_block = int(block_routes.size()) / kBlockTokens;
        for (int i = 0; i < active.count; i++) block_routes.push_back(active.begin + i);
        block_routes.resize((block_routes.size() + kBlockTokens - 1) / kBlockTokens * kBlockTokens,
                            -1);
    }
    blocks = int(block_routes.size()) / kBlockTokens;
}

} // namespace ds4::ktb
