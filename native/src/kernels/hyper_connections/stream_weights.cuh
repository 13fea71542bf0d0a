// post and comb of one row from its mixing values. Sinkhorn's turns divide columns and rows by
// their sums.
#pragma once
#include "device/kernel.h"

namespace ds4::kernels {

constexpr int kMaxStreams = 16;                                 // Shape's limit
constexpr int kMaxMixOutputs = (2 + kMaxStreams) * kMaxStreams; // pre, post, comb

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

struct StreamWeights {
    const float *base, *scale;
    int32_t streams, iterations;
    float epsilon;
};

// comb[k] of row j before the turns. mix: [streams, streams] of comb, already divided by the rms.
template <int N>
__device__ __forceinline__ void softmax_row(const StreamWeights &w, const float *mix, int j, int n,
                                            float (&row)[N]) {
    const float *base = w.base + 2 * n + j * n;
    float highest = __uint_as_float(0xff800000u), sum = 0.0f; // -infinity
#pragma unroll
    for (int k = 0; k < N; k++)
        if (k < n)
            row[k] = fmaf(w.scale[2], mix[j * n + k], base[k]), highest = fmaxf(highest, row[k]);
#pragma unroll
    for (int k = 0; k < N; k++)
        if (k < n) row[k] = expf(row[k] - highest), sum += row[k];
#pragma unroll
    for (int k = 0; k < N; k++)
        if (k < n) row[k] = row[k] / sum + w.epsilon;
}

// All of comb in registers; every lane does the same, and lane 0 writes.
template <int N>
__device__ __forceinline__ void comb_in_registers(const StreamWeights &w, const float *mix,
                                                  float *out) {
    float comb[N][N];
#pragma unroll
    for (int j = 0; j < N; j++) softmax_row<N>(w, mix, j, N, comb[j]);
    for (int turn = 0; turn < w.iterations; turn++) {
        if (turn > 0) {
#pragma unroll
            for (int j = 0; j < N; j++) {
                float sum = 0.0f;
#pragma unroll
                for (int k = 0; k < N; k++) sum += comb[j][k];
                const float share = __fdividef(1.0f, sum + w.epsilon);
#pragma unroll
                for (int k = 0; k < N; k++) comb[j][k] *= share;
            }
        }
#pragma unroll
        for (int k = 0; k < N; k++) {
            float sum = 0.0f;
#pragma unroll
            for (int j = 0; j < N; j++) sum += comb[j][k];
            const float share = __fdividef(1.0f, sum + w.epsilon);
#pragma unroll
            for (int j = 0; j < N; j++) comb[j][k] *= share;
        }
    }
    if (device::lane() > 0) return;
#pragma unroll
    for (int j = 0; j < N; j++)
#pragma unroll
        for (int k = 0; k < N; k++) out[j * N + k] = comb[j][k];
}

// Divides each line of comb by its sum; a lane takes one. Entry i of line l is comb[l * line + i *
// step].
__device__ __forceinline__ void divide_lines(float *comb, int n, int line, int step,
                                             float epsilon) {
    float *mine = comb + device::lane() * line, sum = 0.0f;
    const bool is_used = device::lane() < n;
    for (int i = 0; is_used && i < n; i++) sum += mine[i * step];
    const float share = __fdividef(1.0f, sum + epsilon);
    for (int i = 0; is_used && i < n; i++) mine[i * step] *= share;
    __syncwarp();
}

// For any number of streams, in shared memory. mix: [n, n], overwritten.
__device__ __forceinline__ void comb_in_memory(const StreamWeights &w, float *mix, float *out) {
    const int n = w.streams;
    float row[kMaxStreams];
    if (device::lane() < n) {
        softmax_row<kMaxStreams>(w, mix, device::lane(), n, row);
#pragma unroll
        for (int k = 0; k < kMaxStreams; k++)
            if (k < n) mix[device::lane() * n + k] = row[k];
    }
    __syncwarp();
    for (int turn = 0; turn < w.iterations; turn++) {
        if (turn > 0) divide_lines(mix, n, n, 1, w.epsilon);
        divide_lines(mix, n, 1, n, w.epsilon);
    }
    for (int i = device::lane(); i < n * n; i += device::kWarp) out[i] = mix[i];
}

// One warp; mix: shared, [(2 + n) n] of the row, overwritten.
__device__ __forceinline__ void write_stream_weights(const StreamWeights &w, float *mix,
                                                     float *post, float *comb) {
    const int n = w.streams;
    for (int i = device::lane(); i < n; i += device::kWarp)
        post[i] = 2.0f * sigmoid(fmaf(w.scale[1], mix[n + i], w.base[n + i]));
    if (n == 4)
        comb_in_registers<4>(w, mix + 2 * n, comb);
    else
        comb_in_memory(w, mix + 2 * n, comb);
}

} // namespace ds4::kernels
