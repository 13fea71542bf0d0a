#include "kernels/compressor/compressor.h"

#include "base/fail.h"
#include "device/kernel.h"
#include "device/launch.h"
#include "ds4.h"
#include "kernels/rope/rope.cuh"
#include "kernels/row_codecs/index_row.cuh"
#include "kernels/row_codecs/kv_row.cuh"

namespace ds4::kernels {
namespace {

using namespace ds4::device;

constexpr int kBiasThreads = 256;
constexpr int kMostThreads = 512;
constexpr int kMostChannels = 1024;
constexpr int kMostCandidates = 128; // 2 * 4 or 128

struct Scratch {
    double sums[kWarp];
    alignas(16) float entry[kMostChannels];
    const float *values[kMostCandidates], *scores[kMostCandidates];
    const float *bias[kMostCandidates]; // of scores that have none yet, else null
};

struct Compressors {
    CompressParams of[2];
    bool stages; // else the gates of the step have their bias
};

// One block a row of the step.
__global__ void add_bias_kernel(CompressParams p) {
    await_previous();
    let_next_begin();
    const int64_t row = blockIdx.x;
    if (p.step.row_sequence[row] < 0) return;
    const int width = p.halves * p.channels;
    const float4 *bias = reinterpret_cast<const float4 *>(
        p.position_bias + int64_t(p.step.row_position[row] % p.ratio) * width);
    float4 *gate = reinterpret_cast<float4 *>(p.gate + row * width);
    for (int i = int(threadIdx.x); i < width / 4; i += kBiasThreads) {
        const float4 a = gate[i], b = bias[i];
        gate[i] = make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
    }
}

// Tokens that take part in a window, in the order of their sum. With two halves the first half of a
// token belongs to the window after its own.
__device__ int list_candidates(const CompressParams &p, bool adds_bias, const SequenceEntry &entry,
                               int64_t window, Scratch &shared) {
    const int64_t width = int64_t(p.halves) * p.channels;
    const int64_t first = p.halves == 2 && window > 0 ? (window - 1) * p.ratio : window * p.ratio;
    const int count = int((window + 1) * p.ratio - first);
    for (int i = int(threadIdx.x); i < count; i += int(blockDim.x)) {
        const int64_t token = first + i;
        const int half = token < window * p.ratio ? 0 : p.halves - 1;
        const bool is_new = token >= entry.position;
        const int64_t at = (entry.first_row + token - entry.position) * width;
        const auto in_ring = [&](const RingLayout &ring) {
            return reinterpret_cast<const float *>(entry.recent + ring.offset +
                                                   token % ring.slots * ring.row_bytes);
        };
        shared.values[i] = (is_new ? p.values + at : in_ring(p.values_ring)) + half * p.channels;
        shared.scores[i] = (is_new ? p.gate + at : in_ring(p.scores_ring)) + half * p.channels;
        shared.bias[i] = adds_bias && is_new
                             ? p.position_bias + token % p.ratio * width + half * p.channels
                             : nullptr;
    }
    __syncthreads();
    return count;
}

// The softmax-weighted sum of one channel.
__device__ float pool_channel(const Scratch &shared, int count, int channel) {
    const auto score = [&](int i) {
        const float *bias = shared.bias[i];
        return bias == nullptr ? shared.scores[i][channel]
                               : __fadd_rn(shared.scores[i][channel], bias[channel]);
    };
    float highest = -INFINITY;
#pragma unroll 8
    for (int i = 0; i < count; i++) highest = fmaxf(highest, score(i));
    float sum = 0.0f, weighted = 0.0f;
#pragma unroll 8
    for (int i = 0; i < count; i++) {
        const float weight = expf(score(i) - highest);
        sum += weight;
        weighted = __fadd_rn(weighted, __fmul_rn(weight, shared.values[i][channel]));
    }
    return sum > 0.0f ? __fdiv_rn(weighted, sum) : 0.0f;
}

template <int PerLane> __device__ void write_index_row(const float *entry, uint8_t *row) {
    float x[PerLane];
    for (int i = 0; i < PerLane; i++) x[i] = entry[lane() * PerLane + i];
    hadamard(x);
    encode_index_row(x, row);
}

__device__ void write_entry(const CompressParams &p, const float *entry, uint8_t *row) {
    if (!p.is_index || !p.format.is_packed) return encode_kv_row(entry, p.format, row);
    if (warp() > 0) return;
    if (p.channels == 64) write_index_row<2>(entry, row);
    if (p.channels == 128) write_index_row<4>(entry, row);
    if (p.channels == 256) write_index_row<8>(entry, row);
}

// Puts a row of the step and its biased gate where they wait for the commit.
__device__ void stage_row(const CompressParams &p, const SequenceEntry &entry, int64_t row,
                          int32_t position) {
    const int32_t slots = p.values_ring.slots;
    if (position < entry.position + entry.count - slots) return; // a later row has its slot
    const int width = p.halves * p.channels;
    const auto ring_row = [&](const RingLayout &ring) {
        return reinterpret_cast<float *>(entry.staged + ring.offset +
                                         int64_t(position % slots) * ring.row_bytes);
    };
    float *values = ring_row(p.values_ring), *scores = ring_row(p.scores_ring);
    const float *bias = p.position_bias + int64_t(position % p.ratio) * width;
    for (int i = int(threadIdx.x); i < width; i += int(blockDim.x)) {
        values[i] = p.values[row * width + i];
        scores[i] = __fadd_rn(p.gate[row * width + i], bias[i]);
    }
}

// One block a row of the step and compressor: the last row of a window makes its entry.
__global__ void __launch_bounds__(kMostThreads, 1) close_windows_kernel(Compressors compressors) {
    Scratch &shared = shared_memory<Scratch>();
    const CompressParams &p = compressors.of[blockIdx.y];
    await_previous();
    let_next_begin();
    const int64_t row = blockIdx.x;
    const int32_t sequence = p.step.row_sequence[row], position = p.step.row_position[row];
    if (sequence < 0) return;
    const SequenceEntry entry = p.step.sequences[sequence];
    if (compressors.stages) stage_row(p, entry, row, position);
    if ((position + 1) % p.ratio != 0) return;
    const int64_t window = position / p.ratio;
    const int thread = int(threadIdx.x), threads = int(blockDim.x);
    const int count = list_candidates(p, compressors.stages, entry, window, shared);
    double sum = 0.0;
    for (int i = thread; i < p.channels; i += threads) {
        const float pooled = pool_channel(shared, count, i);
        shared.entry[i] = pooled, sum += double(pooled) * pooled;
    }
    sum = block_sum(sum, shared.sums);
    const double scale = 1.0 / sqrt(sum / p.channels + p.epsilon);
    for (int i = thread; i < p.channels; i += threads)
        shared.entry[i] = float(shared.entry[i] * scale * p.norm[i]);
    __syncthreads();
    for (int i = thread; i < p.rotary / 2; i += threads) {
        float *pair = shared.entry + p.channels - p.rotary + 2 * i;
        const float2 turned = turn_pair(make_float2(pair[0], pair[1]),
                                        turn_of(int32_t(window * p.ratio), p.frequencies[i]));
        pair[0] = turned.x, pair[1] = turned.y;
    }
    __syncthreads();
    const int64_t in_page = window & ((int64_t(1) << p.entries.shift) - 1);
    write_entry(p, shared.entry,
                entry.pages[window >> p.entries.shift] + p.entries.offset +
                    in_page * p.entries.row_bytes);
}

void check(const CompressParams &p) {
    const int candidates = p.halves * p.ratio;
    if (p.ratio < 1 || p.halves < 1 || p.halves > 2 || candidates > kMostCandidates)
        fail(DS4_ERR_ARGUMENT, "windows of %d tokens, %d halves; expected at most %d candidates",
             p.ratio, p.halves, kMostCandidates);
    if (p.channels % 32 != 0 || p.channels > kMostChannels || p.rotary > p.channels)
        fail(DS4_ERR_ARGUMENT, "%d channels, %d of them rotary; expected a multiple of 32 up to %d",
             p.channels, p.rotary, kMostChannels);
    if (p.is_index && p.format.is_packed && !index_row_fits(p.channels))
        fail(DS4_ERR_ARGUMENT, "packed index rows of %d channels; expected 64, 128 or 256",
             p.channels);
}

void launch_closing(const Compressors &compressors, int count, device::Stream &stream) {
    launch(
        close_windows_kernel,
        {.blocks = compressors.of[0].step.rows,
         .blocks_y = count,
         .threads = min(max(compressors.of[0].channels, compressors.of[1].channels), kMostThreads),
         .shared_bytes = sizeof(Scratch),
         .after_trigger = true},
        stream, compressors);
}

} // namespace

void compress(const CompressParams &params, device::Stream &stream) {
    check(params);
    launch(add_bias_kernel,
           {.blocks = params.step.rows, .threads = kBiasThreads, .after_trigger = true}, stream,
           params);
    launch_closing({{params, params}, false}, 1, stream);
}

void compress_and_stage(std::span<const CompressParams> compressors, device::Stream &stream) {
    if (compressors.empty() || compressors.size() > 2)
        fail(DS4_ERR_ARGUMENT, "%zu compressors of a layer; expected 1 or 2", compressors.size());
    for (const CompressParams &params : compressors) check(params);
    launch_closing({{compressors.front(), compressors.back()}, true}, int(compressors.size()),
                   stream);
}

} // namespace ds4::kernels
