#include "backend/cpu/kernels/kernels_generic.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "backend/cpu/kernels/groups.h"
#include "backend/cpu/kernels/vector_kernels.h"
#include "base/exp_minus.h"
#include "format/blocks.h"
#include "format/convert.h"
#include "format/scalar.h"

#include "ds4.h"

namespace ds4::cpu {
namespace {

constexpr int kLanes = 8;

// Eight partial sums, element i in lane i % 8, added up in pairs.
float dot(const float *a, const float *b, int64_t n) {
    float lanes[kLanes] = {};
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes)
        for (int lane = 0; lane < kLanes; lane++) lanes[lane] += a[i + lane] * b[i + lane];
    for (int lane = 0; i < n; i++, lane++) lanes[lane] += a[i] * b[i];
    for (int width = kLanes / 2; width > 0; width /= 2)
        for (int lane = 0; lane < width; lane++) lanes[lane] += lanes[lane + width];
    return lanes[0];
}

float sum_squares(const float *x, int64_t n) { return dot(x, x, n); }

void add_scaled(float *y, float a, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] += a * x[i];
}

void weighted_rows(float *y, const float *p, int64_t p_stride, const float *v, int64_t heads,
                   int64_t rows, int64_t dim) {
    for (int64_t h = 0; h < heads; h++)
        for (int64_t row = 0; row < rows; row++)
            add_scaled(y + h * dim, p[h * p_stride + row], v + row * dim, dim);
}

void score_rows(float *s, int64_t s_stride, const float *q, const float *k, int64_t heads,
                int64_t rows, int64_t dim) {
    for (int64_t row = 0; row < rows; row++)
        for (int64_t h = 0; h < heads; h++)
            s[h * s_stride + row] = dot(q + h * dim, k + row * dim, dim);
}

Softening soften(float *scores, int64_t count, float scale, float sink) {
    float highest = sink;
    for (int64_t i = 0; i < count; i++) {
        scores[i] *= scale;
        if (scores[i] > highest) highest = scores[i];
    }
    float total = exp_minus_or_nan(highest - sink);
    for (int64_t i = 0; i < count; i++) {
        scores[i] = exp_minus_or_nan(highest - scores[i]);
        total += scores[i];
    }
    return {highest, total};
}

BlockRow block_row(const Matrix &weight, int64_t row) {
    const uint64_t bytes = row_bytes(weight.type, uint64_t(weight.cols));
    const bool packed = weight.type == DS4_TYPE_FP4_PACKED;
    return {weight.data + row * int64_t(bytes),
            packed ? weight.scales + row * (weight.cols / 32) : nullptr};
}

// scale * activation scale * integer sum, less the minimums; blocks in increasing order.
float dot_group(const CodeGroup &weight, const ActivationGroup &x_group, float sum) {
    const int8_t *quants = x_group.quants;
    const float *scales = x_group.scales;
    for (int b = 0; b < 4; b++) {
        int32_t codes = 0, mins = 0;
        for (int half = 0; half < 2; half++) {
            const int8_t *w = weight.codes + 64 * half + 16 * b, *x = quants + 64 * half + 16 * b;
            int32_t total = 0;
            for (int i = 0; i < 16; i++) codes += int32_t(w[i]) * x[i];
            for (int i = 0; i < 16; i++) total += x[i];
            mins += total * weight.mins[4 * half + b];
        }
        sum += float(codes) * (weight.scales[b] * scales[b]);
        if (weight.min_scale != 0.0f) sum -= float(mins) * (weight.min_scale * scales[b]);
    }
    return sum;
}

} // namespace

void rows_f32_generic(const RowsTask &task) {
    const Matrix &weight = task.weight;
    const int64_t bytes = int64_t(row_bytes(weight.type, uint64_t(weight.cols)));
    std::vector<float> decoded(size_t(weight.cols));
    for (int64_t row = task.row_begin; row < task.row_end; row++) {
        const uint8_t *scales = nullptr;
        if (weight.type == DS4_TYPE_FP4_PACKED) scales = weight.scales + row * (weight.cols / 32);
        if (weight.type == DS4_TYPE_F8_E4M3)
            scales = weight.scales + row / 128 * ((weight.cols + 127) / 128);
        decode_row(weight.type, weight.data + row * bytes, scales, decoded.data(), weight.cols);
        for (int64_t i = 0; i < task.count; i++)
            task.y[i * task.y_stride + row] =
                dot(decoded.data(), token_values(task, i), weight.cols);
    }
}

void rows_f32_f8_f32_scales_generic(const RowsTask &task) {
    const Matrix &weight = task.weight;
    const int64_t blocks = (weight.cols + 127) / 128;
    std::vector<float> decoded(size_t(weight.cols));
    for (int64_t row = task.row_begin; row < task.row_end; row++) {
        for (int64_t i = 0; i < weight.cols; i++) {
            const float scale = load_f32(weight.scales + (row / 128 * blocks + i / 128) * 4);
            decoded[size_t(i)] = e4m3_to_f32(weight.data[row * weight.cols + i]) * scale;
        }
        for (int64_t i = 0; i < task.count; i++)
            task.y[i * task.y_stride + row] =
                dot(decoded.data(), token_values(task, i), weight.cols);
    }
}

void rows_int8_generic(const RowsTask &task) {
    const Matrix &weight = task.weight;
    const GroupDecoder decode = group_decoder(weight.type);
    const int64_t groups = (weight.cols + kGroupChannels - 1) / kGroupChannels;
    std::vector<CodeGroup> decoded(static_cast<size_t>(groups));
    for (int64_t row = task.row_begin; row < task.row_end; row++) {
        const BlockRow place = block_row(weight, row);
        for (int64_t g = 0; g < groups; g++) decode(place, g, weight.cols, decoded[size_t(g)]);
        for (int64_t i = 0; i < task.count; i++) {
            const ActivationGroup *x = token_groups(task, i);
            float sum = 0.0f;
            for (int64_t g = 0; g < groups; g++) sum = dot_group(decoded[size_t(g)], x[g], sum);
            task.y[i * task.y_stride + row] = sum;
        }
    }
}

// Finds the largest magnitude on the bit patterns, where NaN and infinity are above every number.
// Below 2^-120 the reciprocal of the scale would overflow, so such a block counts as zero.
void quantise_generic(const float *values, int64_t cols, ActivationGroup *out) {
    const int64_t groups = (cols + kGroupChannels - 1) / kGroupChannels;
    std::memset(out, 0, size_t(groups) * sizeof(ActivationGroup));
    for (int64_t block = 0; block < groups * kGroupBlocks; block++) {
        const int64_t begin = block * 32, end = begin + 32 < cols ? begin + 32 : cols;
        uint32_t largest = 0;
        for (int64_t i = begin; i < end; i++) {
            const uint32_t magnitude = f32_bits(values[i]) & 0x7fffffffu;
            if (magnitude > largest) largest = magnitude;
        }
        ActivationGroup &group = out[block / kGroupBlocks];
        float &scale = group.scales[block % kGroupBlocks];
        if (largest >= 0x7f800000u) scale = std::numeric_limits<float>::quiet_NaN();
        if (largest >= 0x7f800000u || largest < f32_bits(0x1p-120f)) continue;
        scale = f32_from_bits(largest) / 127.0f;
        const float inverse = 127.0f / f32_from_bits(largest);
        int8_t *place = group.quants + block % kGroupBlocks * 16;
        for (int64_t i = begin; i < end; i++) {
            const int64_t offset = i - begin;
            place[offset < 16 ? offset : offset + 48] = int8_t(std::lrintf(values[i] * inverse));
        }
    }
    for (int64_t lane = 0; lane < groups * 16; lane++) {
        const int8_t *first = out[lane / 16].quants + lane % 16 * 4;
        int32_t sum = 0;
        for (int i = 0; i < 4; i++) sum += first[i] + first[64 + i];
        out[lane / 16].sums[lane % 16] = -128 * sum;
    }
    for (int64_t block = 0; block < groups * kGroupBlocks; block++) {
        ActivationGroup &group = out[block / kGroupBlocks];
        const int32_t *sums = group.sums + block % kGroupBlocks * 4;
        group.starts[block % kGroupBlocks] = kFloatBias + sums[0] + sums[1] + sums[2] + sums[3];
    }
}

const VectorKernels kVectorKernelsGeneric = {add_scaled, sum_squares, weighted_rows, score_rows,
                                             soften};

} // namespace ds4::cpu
