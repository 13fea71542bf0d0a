// The compressor makes one cache entry per window of `ratio` tokens: a per-channel softmax over the
// window's tokens. With overlap the tokens of the window before it take part too
// (docs/numerics.md#compressor).
#pragma once
#include <deque>
#include "backend/cpu/buffer.h"
#include "backend/cpu/context.h"
#include "backend/cpu/sequence.h"
#include "backend/cpu/weights.h"

namespace ds4::cpu {

struct CompressorInput {
    int64_t first;              // position of the first token
    int64_t count;              // tokens
    const float *values;        // [count, halves * dim]
    float *gate;                // [count, halves * dim]; the position bias is added in place
    const float *norm;          // [dim]
    const float *position_bias; // [ratio, halves * dim]
    int ratio, halves, dim;
};

// Pools every window that closes within the tokens, and applies norm and rope. Passes each entry to
// write(window, float entry[dim]), then stages the rows that later windows need.
class Compressor {
  public:
    explicit Compressor(const Context &context)
        : context_(context), entries_(worker_buffers(context.workspace, context.pool.threads())),
          angles_(worker_buffers(context.workspace, context.pool.threads())) {}

    template <typename Write>
    void run(const CompressorInput &in, CompressorState &state, const Rope &rope,
             const Write &write) {
        add_position_bias(in);
        const int64_t begin = in.first / in.ratio, end = (in.first + in.count) / in.ratio;
        context_.each_with_worker(end - begin, [&](int64_t i, int worker) {
            float *entry = entries_[size_t(worker)].get<float>(in.dim);
            pool_window(in, state, begin + i, entry);
            rms_norm_precise(entry, in.norm, entry, in.dim, context_.shape.norm_epsilon);
            float *angles = angles_[size_t(worker)].get<float>(rope.dim());
            rope.angles(uint32_t((begin + i) * in.ratio), angles);
            rotate(entry + in.dim - rope.dim(), angles, rope.dim(), false);
            write(begin + i, entry);
        });
        const int64_t stride = int64_t(in.halves) * in.dim * 4;
        state.values.stage(in.first, in.count, reinterpret_cast<const uint8_t *>(in.values),
                           stride);
        state.scores.stage(in.first, in.count, reinterpret_cast<const uint8_t *>(in.gate), stride);
    }

  private:
    void add_position_bias(const CompressorInput &in) const;
    static void pool_window(const CompressorInput &in, const CompressorState &state, int64_t window,
                            float *entry);

    const Context &context_;
    std::deque<Buffer> entries_, angles_; // one a worker
};

} // namespace ds4::cpu
