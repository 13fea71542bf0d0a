// The facts that all blocks of a CPU step share: shape, threads, kernels, precision.
#pragma once
#include <cstdint>
#include <functional>

#include "backend/cpu/first_use.h"
#include "backend/cpu/kernels/cache_kernels.h"
#include "backend/cpu/kernels/matmul.h"
#include "base/thread_pool.h"
#include "kv/cache_layout.h"
#include "model/model.h"
#include "model/rope.h"

namespace ds4 {
class PackedExperts;
}

namespace ds4::cpu {

class Workspace;

constexpr int64_t kChannelBlock = 256; // channels that one thread takes at a time

// Called for channels begin..begin+count-1 of a row of a sublayer's output when they are final.
// Threads: any. It may be empty.
using ChannelsDone = std::function<void(int64_t row, int64_t begin, int64_t count)>;

struct Context {
    const Shape &shape;
    ThreadPool &pool;
    Isa isa;
    const VectorKernels &vectors;
    const CacheKernels &cache_kernels;
    Precision precision; // of activations entering quantised matrices
    bool shared_clamp;
    CacheLayout cache;
    Rope window_rope, compressed_rope;
    FirstUse *first_use = nullptr;   // null: weights are trusted, as in tests of single blocks
    PackedExperts *packed = nullptr; // null: every layer's routed experts are mapped
    Workspace *workspace = nullptr;  // of the blocks' buffers; null: nobody counts them

    const Rope &rope(const LayerShape &layer) const {
        return layer.compress_ratio == 0 ? window_rope : compressed_rope;
    }
    // Calls body(i, worker) for i in 0..count-1, spread over the threads. Results must not depend
    // on the worker.
    template <typename Body> void each_with_worker(int64_t count, const Body &body) const {
        if (count <= 1) {
            if (count == 1) body(int64_t(0), 0);
            return;
        }
        pool.run([&](int worker, int workers) {
            const WorkRange range = share(count, worker, workers);
            for (int64_t i = range.begin; i < range.end; i++) body(i, worker);
        });
    }
    // The same without threads where all items together are so few channels that handing them over
    // would take longer than the work.
    template <typename Body>
    void each_of_channels(int64_t count, int64_t channels, const Body &body) const {
        constexpr int64_t kAloneChannels = 8192;
        if (count * channels > kAloneChannels) return each(count, body);
        for (int64_t i = 0; i < count; i++) body(i);
    }
    // Calls body(row, begin, count) for blocks of the channels of every row. A block's streams stay
    // in the first-level cache.
    template <typename Body>
    void each_block(int64_t rows, int64_t channels, const Body &body) const {
        const int64_t blocks = (channels + kChannelBlock - 1) / kChannelBlock;
        each_of_channels(rows * blocks, kChannelBlock, [&](int64_t item) {
            const int64_t begin = item % blocks * kChannelBlock;
            body(item / blocks, begin,
                 channels - begin < kChannelBlock ? channels - begin : kChannelBlock);
        });
    }
    template <typename Body> void each(int64_t count, const Body &body) const {
        each_with_worker(count, [&](int64_t i, int) { body(i); });
    }
};

inline Matrix matrix_of(const TensorView &view) {
    return {view.type, view.rows, view.cols, view.data, view.scales};
}

// y = x * rsqrt(mean(x^2) + epsilon) * weight; weight may be null. x and y may be the same.
inline void rms_norm(const VectorKernels &vectors, const float *x, const float *weight, float *y,
                     int64_t n, float epsilon) {
    const float scale = 1.0f / __builtin_sqrtf(vectors.sum_squares(x, n) / float(n) + epsilon);
    if (weight == nullptr) {
        for (int64_t i = 0; i < n; i++) y[i] = x[i] * scale;
    } else {
        for (int64_t i = 0; i < n; i++) y[i] = x[i] * scale * weight[i];
    }
}

// The same with its sum and products in f64, rounded once to f32. Cache rows need it: their coarse
// rounding would now and then turn the last bit of an f32 value into a whole step.
inline void rms_norm_precise(const float *x, const float *weight, float *y, int64_t n,
                             float epsilon) {
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) sum += double(x[i]) * x[i];
    const double scale = 1.0 / __builtin_sqrt(sum / double(n) + epsilon);
    for (int64_t i = 0; i < n; i++) y[i] = float(x[i] * scale * weight[i]);
}

} // namespace ds4::cpu
