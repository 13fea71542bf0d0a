// Scores of f32 index rows. A thread takes one key and every eighth head.
#pragma once
#include "kernels/indexer/score_packed.cuh"

namespace ds4::kernels {

constexpr int kPlainWarps = 8;
constexpr int kPlainStagedChannels = 512; // the most whose keys are kept in shared memory

struct PlainShared {
    float sums[kPlainWarps][device::kWarp];
    float4 keys[1]; // [channels / 4][32]
};

__device__ __forceinline__ float plain_product(const float *query, const float4 *key,
                                               int64_t key_step, int channels) {
    float sum = 0.0f;
    for (int c = 0; c < channels / 4; c++) {
        const float4 q = reinterpret_cast<const float4 *>(query)[c], k = key[c * key_step];
        sum = fmaf(q.w, k.w, fmaf(q.z, k.z, fmaf(q.y, k.y, fmaf(q.x, k.x, sum))));
    }
    return sum;
}

// Blocks along x: 32 keys. Along y: rows.
__global__ void score_plain_kernel(ScoreParams p) {
    using namespace device;
    PlainShared &shared = shared_memory<PlainShared>();
    const int row = p.first_row + int(blockIdx.y);
    const int64_t first = int64_t(blockIdx.x) * kWarp, key = first + lane();
    await_previous();
    let_next_begin();
    const int64_t visible = visible_entries(p.in.step, row, p.in.ratio);
    if (visible <= p.in.top_k || visible <= first) return;
    const SequenceEntry &sequence = p.in.step.sequences[p.in.step.row_sequence[row]];
    const int quads = p.in.channels / 4;
    // Threads beyond the visible keys read the last one.
    const auto row_of = [&](int64_t entry) {
        return reinterpret_cast<const float4 *>(
            entry_row(sequence.pages, p.in.entries, min(entry, visible - 1)));
    };
    const float4 *mine = row_of(key);
    int64_t step = 1;
    if (p.in.channels <= kPlainStagedChannels) {
        for (int k = warp(); k < kWarp; k += kPlainWarps)
            for (int c = lane(); c < quads; c += kWarp)
                shared.keys[c * kWarp + k] = row_of(first + k)[c];
        mine = shared.keys + lane(), step = kWarp;
    }
    __syncthreads();
    float sum = 0.0f;
    for (int head = warp(); head < p.in.heads; head += kPlainWarps) {
        const int64_t at = int64_t(row) * p.in.heads + head;
        const float product = plain_product(p.in.q + at * p.in.channels, mine, step, p.in.channels);
        sum = fmaf(p.in.weights[at] * p.weight_scale, fmaxf(product, 0.0f), sum);
    }
    shared.sums[warp()][lane()] = sum;
    __syncthreads();
    if (warp() > 0 || key >= visible) return;
    for (int w = 1; w < kPlainWarps; w++) sum += shared.sums[w][lane()];
    p.in.scores[(row - p.first_row) * p.stride + key] = sum;
}

} // namespace ds4::kernels
