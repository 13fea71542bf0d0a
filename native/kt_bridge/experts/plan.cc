#include "experts/plan.h"

#include <algorithm>

namespace ds4::ktb {

void Plan::build(const ForwardRequest &pass, const Kernels &pass_kernels, bool pass_fp8_reference) {
    request = pass;
    layer = pass.layer;
    kernels = &pass_kernels;
    fp8_reference = pass_fp8_reference;
    fused = pass.tokens <= kFusedTokens && !fp8_reference;
    const int count = layer->shape.experts;
    const size_t slots = size_t(pass.tokens) * size_t(layer->shape.used);
    const auto expert_of = [&](size_t slot) -> int { // -1: skipped
        const int64_t id = pass.wide_ids ? static_cast<const int64_t *>(pass.ids)[slot] : static_cast<const int32_t *>(pass.ids)[slot];
        return id >= 0 && id < count && pass.weights[slot] != 0.0f ? int(id) : -1;
    };

    counts_.assign(size_t(count), 0);
    for (size_t slot = 0; slot < slots; slot++)
        if (const int expert = expert_of(slot); expert >= 0) counts_[size_t(expert)]++;
    experts.clear();
    int routes = 0;
    for (int expert = 0; expert < count; expert++) {
        const int used = counts_[size_t(expert)];
        if (used > 0) experts.push_back({expert, routes, used});
        counts_[size_t(expert)] = routes;
        routes += used;
    }
    route_tokens.resize(size_t(routes));
    route_weights.resize(size_t(routes));
    slot_routes.assign(slots, -1);
    for (size_t slot = 0; slot < slots; slot++) {
        const int expert = expert_of(slot);
        if (expert < 0) continue;
        const int route = counts_[size_t(expert)]++;
        route_tokens[size_t(route)] = int32_t(slot / size_t(layer->shape.used));
        route_weights[size_t(route)] = pass.weights[slot];
        slot_routes[slot] = route;
    }
    largest_first.resize(experts.size());
    for (size_t i = 0; i < experts.size(); i++) largest_first[i] = int(i);
    std::stable_sort(largest_first.begin(), largest_first.end(), [this](int a, int b) { return experts[size_t(a)].count > experts[size_t(b)].count; });
}

} // namespace ds4::ktb
