// Softmax sums of a head over some rows, and how later ones are added to them. Every operation is
// written out, so that all kernels round alike.
#pragma once
#include "device/kernel.h"
#include "kernels/attention/attention.h"
#include "kernels/rope/rope.cuh"

namespace ds4::kernels {

using namespace device;

struct SoftmaxState {
    float highest = -INFINITY; // score
    float total = 0.0f;        // of the weights exp(score - highest)
};
// Factors of the sums of both sides when they meet.
struct MergeWeights {
    float old_sums, new_sums;
};
__device__ __forceinline__ MergeWeights merge(SoftmaxState &state, SoftmaxState next) {
    const float highest = fmaxf(state.highest, next.highest);
    const MergeWeights weights = {expf(state.highest - highest), expf(next.highest - highest)};
    state.total = fmaf(state.total, weights.old_sums, __fmul_rn(next.total, weights.new_sums));
    state.highest = highest;
    return weights;
}
__device__ __forceinline__ float merge_sum(float old_sum, float new_sum, MergeWeights weights) {
    return fmaf(old_sum, weights.old_sums, __fmul_rn(new_sum, weights.new_sums));
}
// The factor of the sums in the end. The sink counts in the denominator only.
__device__ __forceinline__ float final_weight(SoftmaxState state, float sink) {
    const float highest = fmaxf(state.highest, sink), weight = expf(state.highest - highest);
    return __fdiv_rn(weight, fmaf(state.total, weight, expf(sink - highest)));
}

// Writes two adjacent channels of a head, turned back where they are rotary.
__device__ __forceinline__ void write_pair(const AttendParams &p, int64_t row, int head,
                                           int channel, float2 pair) {
    const int rotary = p.format.rotary, per_group = p.heads / p.groups,
              at = channel - (p.channels - rotary);
    if (at >= 0) {
        const float *angles = p.angles + row * rotary;
        pair = turn_pair(pair, {angles[at / 2], -angles[rotary / 2 + at / 2]});
    }
    float *out = p.out + (int64_t(head / per_group) * p.step.rows + row) * per_group * p.channels +
                 int64_t(head % per_group) * p.channels + channel;
    *reinterpret_cast<float2 *>(out) = pair;
}

} // namespace ds4::kernels
