// A warp routes a row; one block groups all routes by expert.
#include "kernels/router/router.h"

#include <algorithm>

#include "base/fail.h"
#include "device/kernel.h"
#include "device/launch.h"
#include "ds4.h"

namespace ds4::kernels {
namespace {

using namespace ds4::device;

constexpr int kRouteWarps = 4;
constexpr int kMostExperts = 1024;
constexpr int kMostPerToken = 32; // a lane each

// sqrt(softplus(z)), by its asymptotes where exp would overflow or lose all digits.
__device__ __forceinline__ float score_of(float z) {
    const float softplus = z > 20.0f ? z : z < -20.0f ? expf(z) : log1pf(expf(z));
    return sqrtf(softplus);
}
// An order of integers for that of floats, above 0; NaN comes last, as 1.
__device__ __forceinline__ uint32_t key_of(float value) {
    if (!(value == value)) return 1;
    const uint32_t bits = __float_as_uint(value + 0.0f); // -0 equals 0
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// The largest keys in turn, the smaller id on a tie; lane i gets choice i. keys: shared, of this
// warp; lane l has those of experts l, l + 32 and so on. 0 marks a choice that was made.
__device__ int32_t choose_best(uint32_t *keys, int experts, int per_token) {
    int32_t choice = -1;
    for (int i = 0; i < per_token; i++) {
        uint32_t best = 0;
        int at = -1;
        for (int e = lane(); e < experts; e += kWarp)
            if (keys[e] > best) best = keys[e], at = e;
        const uint32_t most = __reduce_max_sync(kAllLanes, best);
        const int32_t id = __reduce_min_sync(kAllLanes, best == most && at >= 0 ? at : experts);
        if (id == at) keys[id] = 0;
        if (lane() == i) choice = id < experts ? id : -1;
    }
    return choice;
}

__global__ void route_kernel(RouteParams p) {
    uint32_t *keys = &shared_memory<uint32_t>() + warp() * p.experts;
    const int64_t row = int64_t(blockIdx.x) * kRouteWarps + warp();
    await_previous();
    let_next_begin();
    if (row >= p.step.rows) return;
    const bool is_padding = p.step.row_sequence[row] < 0, is_mine = lane() < p.per_token;
    const float *logits = p.logits + row * p.experts;
    int32_t id = -1;
    if (!is_padding && p.table != nullptr) {
        if (is_mine) id = p.table[int64_t(p.step.tokens[row]) * p.per_token + lane()];
        if (id < 0 || id >= p.experts) id = -1;
    } else if (!is_padding) {
        for (int e = lane(); e < p.experts; e += kWarp)
            keys[e] = key_of(score_of(logits[e]) + p.bias[e]);
        id = choose_best(keys, p.experts, p.per_token);
    }
    const float score = id >= 0 ? score_of(logits[id]) : 0.0f;
    float sum = 0.0f;
    for (int i = 0; i < p.per_token; i++) sum += __shfl_sync(kAllLanes, score, i);
    if (!is_mine) return;
    const float scale = p.normalise_weights ? p.routed_scale / (sum + 1e-20f) : p.routed_scale;
    p.ids[row * p.per_token + lane()] = id;
    p.weights[row * p.per_token + lane()] = score * scale;
}

constexpr int kGroupWarps = 32;

// Shared memory of group_routes: counts [warps][experts], which become places, then totals.
struct Groups {
    int32_t *counts, *totals;
    int experts;
    __device__ explicit Groups(const GroupParams &p)
        : counts(&shared_memory<int32_t>()), totals(counts + int(blockDim.x / kWarp) * p.experts),
          experts(p.experts) {}
};

// Each warp has a run of routes, so that the runs are in the order of rows.
struct Run {
    int begin, end;
};
__device__ Run run_of(const GroupParams &p) {
    const int routes = p.rows * p.per_token, warps = int(blockDim.x / kWarp),
              size = ((routes + warps - 1) / warps + kWarp - 1) / kWarp * kWarp;
    const int begin = min(warp() * size, routes);
    return {begin, min(begin + size, routes)};
}
// -1 past the run and for a route without an expert.
__device__ __forceinline__ int32_t id_at(const GroupParams &p, int route, int end) {
    const int32_t id = route < end ? p.ids[route] : -1;
    return id >= 0 && id < p.experts ? id : -1;
}
// Lanes with the same id as this one.
__device__ uint32_t peers_of(int32_t id, int experts) {
    uint32_t peers = __ballot_sync(kAllLanes, id >= 0);
    if (id < 0) peers = 0;
    for (int bit = 0; 1 << bit < experts; bit++) {
        const bool is_set = (id >> bit & 1) != 0;
        const uint32_t set = __ballot_sync(kAllLanes, is_set);
        peers &= is_set ? set : ~set;
    }
    return peers;
}

__device__ void count_routes(const GroupParams &p, const Groups &groups) {
    int32_t *counts = groups.counts + warp() * groups.experts;
    for (int e = lane(); e < groups.experts; e += kWarp) counts[e] = 0;
    __syncwarp();
    const Run run = run_of(p);
    for (int base = run.begin; base < run.end; base += kWarp) {
        const int32_t id = id_at(p, base + lane(), run.end);
        if (id >= 0) atomicAdd(&counts[id], 1);
    }
}

// Counts become the places of each warp's first lines within an expert.
__device__ void sum_warps(const Groups &groups) {
    for (int e = int(threadIdx.x); e < groups.experts; e += int(blockDim.x)) {
        int32_t sum = 0;
        for (int w = 0; w < int(blockDim.x / kWarp); w++) {
            int32_t &count = groups.counts[w * groups.experts + e];
            const int32_t mine = count;
            count = sum;
            sum += mine;
        }
        groups.totals[e] = sum;
    }
}

// The first warp: totals become the first lines of experts; active experts are listed.
__device__ void sum_experts(const GroupParams &p, const Groups &groups) {
    int32_t lines = 0, active = 0;
    for (int base = 0; base < groups.experts; base += kWarp) {
        const int e = base + lane();
        const int32_t count = e < groups.experts ? groups.totals[e] : 0;
        int32_t sum = count;
        for (int step = 1; step < kWarp; step *= 2) {
            const int32_t other = __shfl_up_sync(kAllLanes, sum, step);
            if (lane() >= step) sum += other;
        }
        const uint32_t some = __ballot_sync(kAllLanes, count > 0);
        if (e < groups.experts) groups.totals[e] = p.begin[e] = lines + sum - count;
        if (count > 0) p.active[active + __popc(some & ((1u << lane()) - 1u))] = e;
        lines += __shfl_sync(kAllLanes, sum, kWarp - 1);
        active += __popc(some);
    }
    if (lane() == 0) p.begin[groups.experts] = lines, p.active_count[0] = active;
}

__device__ void place_routes(const GroupParams &p, const Groups &groups) {
    int32_t *places = groups.counts + warp() * groups.experts;
    const Run run = run_of(p);
    for (int base = run.begin; base < run.end; base += kWarp) {
        const int route = base + lane();
        const int32_t id = id_at(p, route, run.end);
        const uint32_t peers = peers_of(id, groups.experts);
        const int32_t before = __popc(peers & ((1u << lane()) - 1u)),
                      line = id < 0 ? -1 : groups.totals[id] + places[id] + before;
        __syncwarp();
        if (id >= 0 && before == 0) places[id] += __popc(peers);
        __syncwarp();
        if (route < run.end) p.line_of[route] = line;
        if (line < 0) continue;
        p.row_of[line] = route / p.per_token;
        p.weight_of[line] = p.weights[route];
    }
}

__global__ void __launch_bounds__(1024) group_routes_kernel(GroupParams p) {
    const Groups groups(p);
    await_previous();
    let_next_begin();
    count_routes(p, groups);
    __syncthreads();
    sum_warps(groups);
    __syncthreads();
    if (warp() == 0) sum_experts(p, groups);
    __syncthreads();
    place_routes(p, groups);
}

} // namespace

void route(const RouteParams &params, device::Stream &stream) {
    if (params.experts < 1 || params.experts > kMostExperts || params.per_token < 1 ||
        params.per_token > std::min(params.experts, kMostPerToken))
        fail(DS4_ERR_ARGUMENT, "a router of %d experts, %d a token: at most %d, and %d a token",
             params.experts, params.per_token, kMostExperts, kMostPerToken);
    if ((params.bias == nullptr) == (params.table == nullptr))
        fail(DS4_ERR_ARGUMENT, "a router has either a bias or a table of experts by token");
    launch(route_kernel,
           {.blocks = (int64_t(params.step.rows) + kRouteWarps - 1) / kRouteWarps,
            .threads = kRouteWarps * kWarp,
            .shared_bytes = int64_t(kRouteWarps) * params.experts * 4,
            .after_trigger = true},
           stream, params);
}

void group_routes(const GroupParams &params, device::Stream &stream) {
    if (params.experts < 1 || params.experts > kMostExperts || params.per_token < 1 ||
        params.rows < 0)
        fail(DS4_ERR_ARGUMENT, "routes of %d rows, %d a row, to %d experts (at most %d)",
             params.rows, params.per_token, params.experts, kMostExperts);
    if (params.rows == 0) return;
    // a warp for 32 routes, as far as its counts fit
    const int64_t routes = int64_t(params.rows) * params.per_token,
                  most = std::min<int64_t>(kGroupWarps, 8192 / params.experts),
                  warps = std::clamp<int64_t>((routes + kWarp - 1) / kWarp, 1, most);
    launch(group_routes_kernel,
           {.blocks = 1,
            .threads = int(warps) * kWarp,
            .shared_bytes = (warps + 1) * params.experts * 4,
            .after_trigger = true},
           stream, params);
}

} // namespace ds4::kernels
