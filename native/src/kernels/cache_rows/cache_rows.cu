#include "kernels/cache_rows/cache_rows.h"

#include "base/fail.h"
#include "device/kernel.h"
#include "device/launch.h"
#include "ds4.h"
#include "kernels/rope/rope.cuh"
#include "kernels/row_codecs/kv_row.cuh"

namespace ds4::kernels {
namespace {

using namespace ds4::device;

constexpr int kRowThreads = 256;  // of a block that makes a cache row
constexpr int kHeadThreads = 256; // a head a warp
constexpr int kCopyThreads = 128;
constexpr int kMostChannels = 1024; // of a KV row or a head

// ---- angles ----

__global__ void make_angles_kernel(AnglesParams p) {
    await_previous();
    let_next_begin();
    const int pairs = p.rotary / 2;
    const int64_t item = int64_t(blockIdx.x) * blockDim.x + threadIdx.x, row = item / pairs;
    if (row >= p.step.rows || p.step.row_sequence[row] < 0) return;
    const int pair = int(item % pairs);
    const Turn turn = turn_of(p.step.row_position[row], p.frequencies[pair]);
    float *angles = p.angles + row * p.rotary;
    angles[pair] = turn.cosine, angles[pairs + pair] = turn.sine;
}

// ---- queries and KV rows ----

// Where a row of the step waits for the commit; null if a later row has its slot.
__device__ uint8_t *staged_row(const StepTable &step, const RingLayout &ring, int64_t row) {
    const SequenceEntry &entry = step.sequences[step.row_sequence[row]];
    const int32_t position = step.row_position[row];
    if (position < entry.position + entry.count - ring.slots) return nullptr;
    return entry.staged + ring.offset + int64_t(position % ring.slots) * ring.row_bytes;
}

__device__ Turn turn_at(const float *angles, int64_t row, int rotary, int pair) {
    const float *of_row = angles + row * rotary;
    return {of_row[pair], of_row[rotary / 2 + pair]};
}

struct LowScratch {
    float sums[kWarp];
    double precise_sums[kWarp];
    alignas(16) float row[kMostChannels];
};

__device__ void norm_query(const FinishLowParams &p, int64_t row, LowScratch &shared) {
    float *q = p.q_low + row * p.q_rank, sum = 0.0f;
    for (int i = int(threadIdx.x); i < p.q_rank; i += kRowThreads) sum = fmaf(q[i], q[i], sum);
    sum = block_sum(sum, shared.sums);
    const float scale = 1.0f / sqrtf(sum / float(p.q_rank) + p.epsilon);
    for (int i = int(threadIdx.x); i < p.q_rank; i += kRowThreads)
        q[i] = q[i] * scale * p.q_norm[i];
}

// Norm of a row in f64, rounded once, then rope and the stored form.
__device__ void make_kv_row(const FinishLowParams &p, int64_t row, LowScratch &shared) {
    const int channels = p.format.channels, codes = channels - p.format.rotary;
    const float *kv = p.kv + row * channels;
    double sum = 0.0;
    for (int i = int(threadIdx.x); i < channels; i += kRowThreads) sum += double(kv[i]) * kv[i];
    sum = block_sum(sum, shared.precise_sums);
    const double scale = 1.0 / sqrt(sum / channels + p.epsilon);
    for (int i = int(threadIdx.x); i < channels; i += kRowThreads)
        shared.row[i] = float(kv[i] * scale * p.kv_norm[i]);
    __syncthreads();
    for (int i = int(threadIdx.x); i < p.format.rotary / 2; i += kRowThreads) {
        float *pair = shared.row + codes + 2 * i;
        const float2 turned =
            turn_pair(make_float2(pair[0], pair[1]), turn_at(p.angles, row, p.format.rotary, i));
        pair[0] = turned.x, pair[1] = turned.y;
    }
    __syncthreads();
    encode_kv_row(shared.row, p.format, p.kv_rows + row * p.format.bytes);
    uint8_t *staged = p.window.slots == 0 ? nullptr : staged_row(p.step, p.window, row);
    if (staged != nullptr) encode_kv_row(shared.row, p.format, staged);
}

// Even blocks make the queries of a row, odd ones its KV row.
__global__ void __launch_bounds__(kRowThreads) finish_low_kernel(FinishLowParams p) {
    LowScratch &shared = shared_memory<LowScratch>();
    await_previous();
    let_next_begin();
    const int64_t row = blockIdx.x / 2;
    if (p.step.row_sequence[row] < 0) return;
    if (blockIdx.x % 2 == 0)
        norm_query(p, row, shared);
    else
        make_kv_row(p, row, shared);
}

// A warp finishes a head; a lane has channels 4 lane to 4 lane + 3 of every 128.
__global__ void __launch_bounds__(kHeadThreads) finish_heads_kernel(FinishHeadsParams p) {
    await_previous();
    let_next_begin();
    const int64_t item = int64_t(blockIdx.x) * (kHeadThreads / kWarp) + warp(),
                  row = item / p.heads;
    if (row >= p.step.rows || p.step.row_sequence[row] < 0) return;
    constexpr int kParts = kMostChannels / 128;
    float4 part[kParts];
    float4 *q = reinterpret_cast<float4 *>(p.q + item * p.channels);
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < kParts; i++) {
        const int at = i * kWarp + lane();
        part[i] = at * 4 < p.channels ? q[at] : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        sum = fmaf(part[i].x, part[i].x, sum), sum = fmaf(part[i].y, part[i].y, sum);
        sum = fmaf(part[i].z, part[i].z, sum), sum = fmaf(part[i].w, part[i].w, sum);
    }
    sum = warp_sum(sum);
    const float scale = 1.0f / sqrtf(sum / float(p.channels) + p.epsilon);
    const int codes = p.channels - p.rotary;
#pragma unroll
    for (int i = 0; i < kParts; i++) {
        const int at = i * kWarp + lane(), channel = at * 4;
        if (channel >= p.channels) continue;
        float2 low = make_float2(part[i].x * scale, part[i].y * scale),
               high = make_float2(part[i].z * scale, part[i].w * scale);
        if (channel >= codes)
            low = turn_pair(low, turn_at(p.angles, row, p.rotary, (channel - codes) / 2));
        if (channel + 2 >= codes)
            high = turn_pair(high, turn_at(p.angles, row, p.rotary, (channel + 2 - codes) / 2));
        q[at] = make_float4(low.x, low.y, high.x, high.y);
    }
}

// ---- rings ----

// Both at a multiple of 8, as the rows of rings are.
__device__ void copy_row(uint8_t *to, const uint8_t *from, int bytes) {
    for (int i = int(threadIdx.x); i < bytes / 8; i += kCopyThreads)
        reinterpret_cast<uint2 *>(to)[i] = reinterpret_cast<const uint2 *>(from)[i];
}

// One block a row of the step.
__global__ void stage_rows_kernel(StageParams p) {
    await_previous();
    let_next_begin();
    const int64_t row = blockIdx.x;
    if (p.step.row_sequence[row] < 0) return;
    uint8_t *to = staged_row(p.step, p.ring, row);
    if (to != nullptr) copy_row(to, p.rows + row * p.stride_bytes, p.ring.row_bytes);
}

// One block a ring of a sequence.
__global__ void commit_rows_kernel(CommitParams p) {
    await_previous();
    let_next_begin();
    const RingLayout ring = p.rings[blockIdx.x];
    const SequenceEntry &entry = p.step.sequences[blockIdx.y];
    const int32_t first = entry.position + max(0, entry.count - ring.slots),
                  end = entry.position + p.kept[blockIdx.y];
    for (int32_t position = first; position < end; position++) {
        const int64_t at = ring.offset + int64_t(position % ring.slots) * ring.row_bytes;
        copy_row(const_cast<uint8_t *>(entry.recent) + at, entry.staged + at, ring.row_bytes);
    }
}

void check_rotary(const char *name, int channels, int rotary) {
    if (channels % 4 != 0 || channels > kMostChannels || rotary % 2 != 0 || rotary > channels)
        fail(DS4_ERR_ARGUMENT,
             "%s of %d channels, %d of them rotary; expected a multiple of 4 up to %d, and an even "
             "number of them",
             name, channels, rotary, kMostChannels);
}

} // namespace

void make_angles(const AnglesParams &params, device::Stream &stream) {
    constexpr int kThreads = 128;
    const int64_t items = int64_t(params.step.rows) * (params.rotary / 2);
    launch(
        make_angles_kernel,
        {.blocks = (items + kThreads - 1) / kThreads, .threads = kThreads, .after_trigger = true},
        stream, params);
}

void finish_low(const FinishLowParams &params, device::Stream &stream) {
    const RowFormat &format = params.format;
    check_rotary("a KV row", format.channels, format.rotary);
    if (format.is_packed && (format.channels - format.rotary) % kKvGroupChannels != 0)
        fail(DS4_ERR_ARGUMENT, "%d channels ahead of the rotary ones; expected a multiple of %d",
             format.channels - format.rotary, kKvGroupChannels);
    launch(finish_low_kernel,
           {.blocks = int64_t(params.step.rows) * 2,
            .threads = kRowThreads,
            .shared_bytes = sizeof(LowScratch),
            .after_trigger = true},
           stream, params);
}

void finish_heads(const FinishHeadsParams &params, device::Stream &stream) {
    check_rotary("a head", params.channels, params.rotary);
    constexpr int kHeads = kHeadThreads / kWarp;
    const int64_t items = int64_t(params.step.rows) * params.heads;
    launch(
        finish_heads_kernel,
        {.blocks = (items + kHeads - 1) / kHeads, .threads = kHeadThreads, .after_trigger = true},
        stream, params);
}

void stage_rows(const StageParams &params, device::Stream &stream) {
    if (params.ring.row_bytes % 8 != 0 || params.stride_bytes % 8 != 0)
        fail(DS4_ERR_ARGUMENT, "rows of %d bytes, %lld apart; expected multiples of 8",
             params.ring.row_bytes, static_cast<long long>(params.stride_bytes));
    if (params.ring.slots == 0) return;
    launch(stage_rows_kernel,
           {.blocks = params.step.rows, .threads = kCopyThreads, .after_trigger = true}, stream,
           params);
}

void commit_rows(const CommitParams &params, device::Stream &stream) {
    if (params.step.sequence_count == 0) return;
    launch(commit_rows_kernel,
           {.blocks = params.ring_count,
            .blocks_y = params.step.sequence_count,
            .threads = kCopyThreads,
            .after_trigger = true},
           stream, params);
}

} // namespace ds4::kernels
