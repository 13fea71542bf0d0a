#include "kernels/attention/attention.h"

#include <cmath>

#include "base/fail.h"
#include "device/kernel.h"
#include "device/launch.h"
#include "ds4.h"
#include "kernels/attention/head_sums.cuh"
#include "kernels/attention/plain_rows.cuh"
#include "kernels/attention/tensor_rows.cuh"
#include "kernels/attention/visible_rows.cuh"

namespace ds4::kernels {
namespace {

// f16 values that a query and a weight are the sum of. Two keep results within 1e-6 of f32.
constexpr int kParts = 2;
constexpr int kMostChannels = 512;
constexpr int kMostThreads = kMostChannels / 2;
// Blocks of a whole query that share an SM: two need 200 KB of shared memory.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ != 900 && __CUDA_ARCH__ != 1000
constexpr int kQueryBlocks = 1;
#else
constexpr int kQueryBlocks = 2;
#endif
// Rows times splits up to which a block takes one split; with more of them it takes a whole query.
// The scratch grows with it: 67 MB for 64 heads of 512 channels.
constexpr int64_t kMostPartials = 512;

struct Shared {
    float highest[kTileHeads], total[kTileHeads]; // of the split so far
    float factor[kTileHeads];                     // of the sums before the tile
    SoftmaxState all[kTileHeads];                 // of the splits before
    MergeWeights merging[kTileHeads];
    VisibleRows visible;
    alignas(16) uint8_t rows[16]; // and more
};
// A thread's sums of the splits before. Not all of them fit in registers, so some lie in shared
// memory behind the rows, [pair][thread].
constexpr int kKeptPairs = 6;
struct SumsBefore {
    float2 kept[kKeptPairs];
    float2 *others;
    __device__ explicit SumsBefore(uint8_t *shared)
        : others(reinterpret_cast<float2 *>(shared) + threadIdx.x) {
#pragma unroll
        for (int i = 0; i < kPairs; i++) at(i) = make_float2(0.0f, 0.0f);
    }
    __device__ float2 &at(int pair) {
        return pair < kKeptPairs ? kept[pair] : others[(pair - kKeptPairs) * int(blockDim.x)];
    }
    static int64_t shared_bytes(int threads) { return int64_t(kPairs - kKeptPairs) * threads * 8; }
};

struct Launch : AttendParams {
    explicit Launch(const AttendParams &params)
        : AttendParams(params), scale(float(1.0 / std::sqrt(double(params.channels)))),
          splits(most_splits(params)), head_tiles((params.heads + kTileHeads - 1) / kTileHeads) {}
    float scale;    // of scores
    int splits;     // that any row of the step has
    int head_tiles; // of a query
};

// The scratch: sums [row][split][head][channels], then states [row][split][head].
__device__ int64_t partial_index(const Launch &p, int64_t row, int split, int head) {
    return (row * p.splits + split) * p.heads + head;
}
__device__ SoftmaxState *states_of(const Launch &p) {
    return reinterpret_cast<SoftmaxState *>(p.scratch +
                                            int64_t(p.step.rows) * p.splits * p.heads * p.channels);
}

// Weights of the tile's rows in all heads; a warp takes every warps-th head. count: rows that are
// there.
template <typename Rows>
__device__ void soften_tile(Rows &rows, Shared &shared, int count, float scale, bool is_first) {
    for (int head = warp(); head < kTileHeads; head += int(blockDim.x) / kWarp) {
        const float score = lane() < count ? __fmul_rn(rows.score(head), scale) : -INFINITY;
        const float before = is_first ? -INFINITY : shared.highest[head],
                    total = is_first ? 0.0f : shared.total[head];
        const float highest = fmaxf(before, warp_max(score)), weight = expf(score - highest),
                    factor = expf(before - highest), sum = warp_sum(weight);
        rows.put_weight(head, weight);
        __syncwarp(); // all lanes have read the state
        if (lane() > 0) continue;
        shared.highest[head] = highest, shared.factor[head] = factor;
        shared.total[head] = fmaf(total, factor, sum);
    }
}

// The row of key `lane` of a split's tile; null past the split's end.
__device__ const uint8_t *row_of_lane(const Launch &p, const Shared &shared, const Split &split,
                                      int offset) {
    const int index = split.begin + offset + lane();
    return index < split.end ? shared.visible.row(p, split.is_window, index) : nullptr;
}

// Sums over the rows of one split, all of which are new. They are in `sum` and, after a barrier, in
// `shared`. The split's first tile has been asked for; that of split `next` is when this returns.
template <typename Rows>
__device__ void attend_split(const Launch &p, int index, int next, Rows &rows, Shared &shared,
                             float (&sum)[8][4]) {
#pragma unroll
    for (int n = 0; n < 8; n++) sum[n][0] = sum[n][1] = sum[n][2] = sum[n][3] = 0.0f;
    const Split split = shared.visible.split(p, index);
    const int count = split.end - split.begin;
    for (int offset = 0; offset < count; offset += kTileRows) {
        const uint8_t *following = nullptr;
        if (offset + kTileRows < count)
            following = row_of_lane(p, shared, split, offset + kTileRows);
        else if (next != kNoSplit)
            following = row_of_lane(p, shared, shared.visible.split(p, next), 0);
        rows.unpack();
        rows.fetch(following);
        if constexpr (Rows::kSharesRows) __syncthreads();
        rows.multiply_keys();
        if constexpr (!Rows::kSharesRows) __syncthreads();
        soften_tile(rows, shared, min(kTileRows, count - offset), p.scale, offset == 0);
        __syncthreads();
        rows.add_values(sum, shared.factor);
        if constexpr (Rows::kSharesRows) __syncthreads();
    }
}

template <typename Rows>
__device__ void store_partial(const Launch &p, int64_t row, int first_head, int split,
                              const Shared &shared, const float (&sum)[8][4]) {
    const int thread = int(threadIdx.x);
    if (thread < kTileHeads && first_head + thread < p.heads)
        states_of(p)[partial_index(p, row, split, first_head + thread)] = {shared.highest[thread],
                                                                           shared.total[thread]};
#pragma unroll
    for (int i = 0; i < kPairs; i++) {
        const int head = first_head + Rows::pair_head(i);
        if (head >= p.heads) continue;
        float *to = p.scratch + partial_index(p, row, split, head) * p.channels;
        *reinterpret_cast<float2 *>(to + Rows::pair_channel(i)) =
            make_float2(sum[i / 2][i % 2 * 2], sum[i / 2][i % 2 * 2 + 1]);
    }
}

// One split of one tile of heads.
template <typename Rows>
__global__ void __launch_bounds__(kMostThreads, 2) attend_split_kernel(Launch p) {
    Shared &shared = shared_memory<Shared>();
    await_previous();
    let_next_begin();
    const int64_t row = blockIdx.x / p.head_tiles;
    const int first_head = int(blockIdx.x % p.head_tiles) * kTileHeads, index = int(blockIdx.y);
    if (p.step.row_sequence[row] < 0) return;
    if (threadIdx.x == 0) shared.visible.find(p, row);
    Rows rows(p, row, first_head, shared.rows);
    __syncthreads();
    const Split split = shared.visible.split(p, index);
    if (split.begin >= split.end) return;
    rows.fetch(row_of_lane(p, shared, split, 0));
    float sum[8][4];
    attend_split(p, index, kNoSplit, rows, shared, sum);
    store_partial<Rows>(p, row, first_head, index, shared, sum);
}

// Adds the sums of the splits of a head in order. Two channels a thread.
__global__ void __launch_bounds__(kMostThreads) merge_splits_kernel(Launch p) {
    await_previous();
    let_next_begin();
    const int64_t row = blockIdx.x / p.heads;
    const int head = int(blockIdx.x % p.heads), channel = int(threadIdx.x) * 2;
    if (p.step.row_sequence[row] < 0) return;
    VisibleRows visible;
    visible.find(p, row);
    SoftmaxState state;
    float2 sum = make_float2(0.0f, 0.0f);
#pragma unroll 4
    for (int i = 0; i != kNoSplit; i = visible.next_split(p, i)) {
        const int64_t partial = partial_index(p, row, i, head);
        const float2 next =
            *reinterpret_cast<const float2 *>(p.scratch + partial * p.channels + channel);
        const MergeWeights weights = merge(state, states_of(p)[partial]);
        sum.x = merge_sum(sum.x, next.x, weights), sum.y = merge_sum(sum.y, next.y, weights);
    }
    const float weight = final_weight(state, p.sinks[head]);
    write_pair(p, row, head, channel,
               make_float2(__fmul_rn(sum.x, weight), __fmul_rn(sum.y, weight)));
}

// All splits of a query and their merge, of one tile of heads. Operations and their order are those
// of the two kernels above.
template <typename Rows>
__global__ void __launch_bounds__(kMostThreads, kQueryBlocks) attend_query_kernel(Launch p) {
    Shared &shared = shared_memory<Shared>();
    await_previous();
    let_next_begin();
    const int64_t row = blockIdx.x / p.head_tiles;
    const int first_head = int(blockIdx.x % p.head_tiles) * kTileHeads, thread = int(threadIdx.x);
    if (p.step.row_sequence[row] < 0) return;
    if (thread < kTileHeads) shared.all[thread] = SoftmaxState{};
    if (thread == 0) shared.visible.find(p, row);
    Rows rows(p, row, first_head, shared.rows);
    __syncthreads();
    SumsBefore before(shared.rows + Rows::shared_bytes(p.channels));
    float sum[8][4];
    rows.fetch(row_of_lane(p, shared, shared.visible.split(p, 0), 0));
    for (int index = 0; index != kNoSplit;) {
        const int next = shared.visible.next_split(p, index);
        attend_split(p, index, next, rows, shared, sum);
        index = next;
        if (thread < kTileHeads)
            shared.merging[thread] =
                merge(shared.all[thread], {shared.highest[thread], shared.total[thread]});
        __syncthreads();
#pragma unroll
        for (int i = 0; i < kPairs; i++) {
            const MergeWeights weights = shared.merging[Rows::pair_head(i)];
            const int at = i % 2 * 2;
            float2 &all = before.at(i);
            all = make_float2(merge_sum(all.x, sum[i / 2][at], weights),
                              merge_sum(all.y, sum[i / 2][at + 1], weights));
        }
    }
#pragma unroll
    for (int i = 0; i < kPairs; i++) {
        const int head = first_head + Rows::pair_head(i);
        if (head >= p.heads) continue;
        const float2 all = before.at(i);
        const float weight = final_weight(shared.all[Rows::pair_head(i)], p.sinks[head]);
        write_pair(p, row, head, Rows::pair_channel(i),
                   make_float2(__fmul_rn(all.x, weight), __fmul_rn(all.y, weight)));
    }
}

template <typename Rows> void launch_attention(const Launch &p, device::Stream &stream) {
    const int64_t tiles = int64_t(p.step.rows) * p.head_tiles,
                  shared = int64_t(sizeof(Shared)) + Rows::shared_bytes(p.channels);
    const int threads = p.channels / 2;
    if (int64_t(p.step.rows) * p.splits > kMostPartials)
        return launch(attend_query_kernel<Rows>,
                      {.blocks = tiles,
                       .threads = threads,
                       .shared_bytes = shared + SumsBefore::shared_bytes(threads),
                       .after_trigger = true},
                      stream, p);
    launch(attend_split_kernel<Rows>,
           {.blocks = tiles,
            .blocks_y = p.splits,
            .threads = threads,
            .shared_bytes = shared,
            .after_trigger = true},
           stream, p);
    launch(merge_splits_kernel,
           {.blocks = int64_t(p.step.rows) * p.heads, .threads = threads, .after_trigger = true},
           stream, p);
}

void check(const AttendParams &p) {
    if (p.channels % 64 != 0 || p.channels < 64 || p.channels > kMostChannels)
        fail(DS4_ERR_ARGUMENT, "heads of %d channels; expected a multiple of 64 up to %d",
             p.channels, kMostChannels);
    if (p.format.rotary % 2 != 0 || (p.format.is_packed && p.format.rotary != 64))
        fail(DS4_ERR_ARGUMENT,
             "%d rotary channels; expected 64 in packed rows, else an even number",
             p.format.rotary);
    if (p.groups < 1 || p.heads % p.groups != 0)
        fail(DS4_ERR_ARGUMENT, "%d heads in %d groups; expected groups of one size", p.heads,
             p.groups);
}

} // namespace

int64_t attend_scratch_floats(const AttendParams &params) {
    const int64_t partials = int64_t(params.step.rows) * most_splits(params);
    return min(partials, kMostPartials) * params.heads * (params.channels + 2);
}

void attend(const AttendParams &params, device::Stream &stream) {
    check(params);
    if (params.format.is_packed)
        launch_attention<TensorRows<kParts>>(Launch(params), stream);
    else
        launch_attention<PlainRows>(Launch(params), stream);
}

} // namespace ds4::kernels
