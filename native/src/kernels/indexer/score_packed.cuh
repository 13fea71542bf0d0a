// Scores of packed index rows. Doubled E2M1 codes are integers from -12 to 12. The products of a
// group of 32 channels are exact sums of integers, by tensor cores: 16 keys by 8 heads. Scales are
// powers of two, so that only additions round.
#pragma once
#include "kernels/indexer/entry_rows.cuh"
#include "kernels/indexer/indexer.h"

namespace ds4::kernels {

constexpr int kScoreWarps = 4, kKeyTiles = 2; // tiles of 16 keys of a warp
constexpr int kWarpKeys = 16 * kKeyTiles, kBlockKeys = kScoreWarps * kWarpKeys;
constexpr int kHeadBlock = 64; // heads in shared memory at a time
constexpr int kHeadTiles = kHeadBlock / 8;
constexpr int32_t kMagicBits = 0x4b400000; // 1.5 * 2^23: its float plus a small integer is exact
constexpr float kMagic = 12582912.0f;

struct ScoreParams {
    SelectParams in;
    int32_t first_row, end_row; // of the step
    int32_t block_rows;         // rows of one block
    int64_t stride;             // of a row in scores
    float weight_scale;
};

// Eight codes as bytes, in order. A sign turns to a mask of its byte.
__device__ __forceinline__ uint2 doubled_codes(uint32_t word) {
    const uint32_t places = word & 0x77777777u;
    const auto of_half = [&](uint32_t selector, uint32_t signed_bytes) {
        const uint32_t positive = __byte_perm(0x03020100u, 0x0c080604u, selector),
                       negative = __byte_perm(0xfdfeff00u, 0xf4f8fafcu, selector),
                       mask = device::byte_signs(__byte_perm(word, word << 4, signed_bytes));
        return (positive & ~mask) | (negative & mask);
    };
    return make_uint2(of_half(places, 0x1504u), of_half(places >> 16, 0x3726u));
}

// Rows of 64 channels have 34 bytes, so that a word of theirs may lie at a multiple of 2.
template <int Groups> __device__ __forceinline__ uint32_t row_word(const uint8_t *at) {
    if (Groups > 2) return *reinterpret_cast<const uint32_t *>(at);
    const auto *halves = reinterpret_cast<const uint16_t *>(at);
    return uint32_t(halves[0]) | uint32_t(halves[1]) << 16;
}
__device__ __forceinline__ float exponent_value(uint8_t byte) {
    return __uint_as_float(uint32_t(byte) << 23);
}

// Queries of kHeadBlock heads of one row, in the order in which lanes read them.
template <int Groups> struct ScoreShared {
    uint2 codes[kHeadTiles][Groups][device::kWarp];
    float scales[kHeadBlock][Groups]; // a quarter, since both codes are doubled
    float weights[kHeadBlock];
};

template <int Groups>
__device__ __forceinline__ void fetch_heads(const ScoreParams &p, int row, int first_head,
                                            ScoreShared<Groups> &shared) {
    constexpr int kWords = Groups * 4;
    const uint8_t *packed =
        p.in.packed + (int64_t(row) * p.in.heads + first_head) * p.in.format.bytes;
    const int heads = min(kHeadBlock, p.in.heads - first_head);
    for (int i = int(threadIdx.x); i < kHeadBlock * kWords; i += int(blockDim.x)) {
        const int head = i / kWords, word = i % kWords;
        const uint8_t *from = packed + int64_t(head) * p.in.format.bytes + word * 4;
        shared.codes[head / 8][word / 4][head % 8 * 4 + word % 4] =
            head < heads ? doubled_codes(row_word<Groups>(from)) : make_uint2(0, 0);
    }
    for (int i = int(threadIdx.x); i < kHeadBlock * Groups; i += int(blockDim.x)) {
        const int head = i / Groups, group = i % Groups;
        const uint8_t *scales = packed + int64_t(head) * p.in.format.bytes + Groups * 16;
        shared.scales[head][group] = head < heads ? exponent_value(scales[group]) * 0.25f : 0.0f;
    }
    for (int head = int(threadIdx.x); head < kHeadBlock; head += int(blockDim.x))
        shared.weights[head] =
            head < heads
                ? p.in.weights[int64_t(row) * p.in.heads + first_head + head] * p.weight_scale
                : 0.0f;
}

// The keys of a warp: lane l has parts of the keys l / 4 and l / 4 + 8 of each tile.
template <int Groups> struct WarpKeys {
    uint32_t codes[kKeyTiles][Groups][4];
    float scales[kKeyTiles][2][Groups];

    __device__ __forceinline__ void load(const ScoreParams &p, const SequenceEntry &sequence,
                                         int64_t first) {
        using namespace device;
        const int64_t closed = closed_entries(sequence, p.in.ratio);
#pragma unroll
        for (int tile = 0; tile < kKeyTiles; tile++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const int64_t key = first + tile * 16 + half * 8 + lane() / 4;
                const uint8_t *row =
                    key < closed ? entry_row(sequence.pages, p.in.entries, key) : nullptr;
#pragma unroll
                for (int g = 0; g < Groups; g++) {
                    uint2 pair = make_uint2(0, 0);
                    if (row != nullptr)
                        pair = doubled_codes(row_word<Groups>(row + g * 16 + lane() % 4 * 4));
                    codes[tile][g][half] = pair.x, codes[tile][g][half + 2] = pair.y;
                    scales[tile][half][g] =
                        row != nullptr ? exponent_value(row[Groups * 16 + g]) : 0.0f;
                }
            }
    }
};

// Adds the heads of shared memory to scores: [tile][half], each lane two heads of eight.
template <int Groups>
__device__ __forceinline__ void add_heads(const ScoreShared<Groups> &shared,
                                          const WarpKeys<Groups> &keys, int tiles,
                                          float (&scores)[kKeyTiles][2]) {
    using namespace device;
    for (int t = 0; t < tiles; t++) {
        const int head = t * 8 + lane() % 4 * 2;
        float products[kKeyTiles][4] = {};
#pragma unroll
        for (int g = 0; g < Groups; g++) {
            const uint2 pair = shared.codes[t][g][lane()];
            const uint32_t b[2] = {pair.x, pair.y};
            const float scales[2] = {shared.scales[head][g], shared.scales[head + 1][g]};
#pragma unroll
            for (int tile = 0; tile < kKeyTiles; tile++) {
                int32_t sum[4] = {kMagicBits, kMagicBits, kMagicBits, kMagicBits};
                mma_s8(sum, keys.codes[tile][g], b);
#pragma unroll
                for (int i = 0; i < 4; i++)
                    products[tile][i] = fmaf((__int_as_float(sum[i]) - kMagic) * scales[i % 2],
                                             keys.scales[tile][i / 2][g], products[tile][i]);
            }
        }
#pragma unroll
        for (int tile = 0; tile < kKeyTiles; tile++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                scores[tile][i / 2] = fmaf(shared.weights[head + i % 2],
                                           fmaxf(products[tile][i], 0.0f), scores[tile][i / 2]);
    }
}

// Blocks along x: keys. Along y: rows, of which a block takes block_rows.
template <int Groups> __global__ void score_packed_kernel(ScoreParams p) {
    using namespace device;
    ScoreShared<Groups> &shared = shared_memory<ScoreShared<Groups>>();
    const int64_t first_of_block = int64_t(blockIdx.x) * kBlockKeys,
                  first = first_of_block + warp() * kWarpKeys;
    await_previous();
    let_next_begin();
    WarpKeys<Groups> keys;
    int loaded = -1; // the sequence of the keys
    const int begin = p.first_row + int(blockIdx.y) * p.block_rows,
              end = min(p.end_row, begin + p.block_rows);
    for (int row = begin; row < end; row++) {
        const int64_t visible = visible_entries(p.in.step, row, p.in.ratio);
        if (visible <= p.in.top_k || visible <= first_of_block) continue;
        const int sequence = p.in.step.row_sequence[row];
        if (sequence != loaded) keys.load(p, p.in.step.sequences[sequence], first);
        loaded = sequence;
        float scores[kKeyTiles][2] = {};
        for (int head = 0; head < p.in.heads; head += kHeadBlock) {
            __syncthreads();
            fetch_heads(p, row, head, shared);
            __syncthreads();
            add_heads(shared, keys, (min(kHeadBlock, p.in.heads - head) + 7) / 8, scores);
        }
        float *out = p.in.scores + (row - p.first_row) * p.stride;
#pragma unroll
        for (int i = 0; i < kKeyTiles * 2; i++) {
            float &score = scores[i / 2][i % 2];
            score += __shfl_xor_sync(kAllLanes, score, 1);
            score += __shfl_xor_sync(kAllLanes, score, 2);
            const int64_t key = first + i / 2 * 16 + i % 2 * 8 + lane() / 4;
            if (lane() % 4 == i && key < visible) out[key] = score;
        }
    }
}

} // namespace ds4::kernels
