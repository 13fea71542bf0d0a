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

// The acts of one step, in this order: the bias of every token, the windows that close, and the
// rows that later windows need.
class Compressor {
  public:
    explicit Compressor(const Context &context)
        : context_(context), entries_(worker_buffers(context.workspace, context.pool.threads())),
          angles_(worker_buffers(context.workspace, context.pool.threads())) {}

    static void add_position_bias(const CompressorInput &in, int64_t token); // one of in.count
    static int64_t first_window(const CompressorInput &in) { return in.first / in.ratio; }
    static int64_t end_window(const CompressorInput &in) {
        return (in.first + in.count) / in.ratio;
    }
    // Pools a window that closes within the tokens, and applies norm and rope. Passes the entry to
    // write(float entry[dim]). Threads: any, each with a worker of its own.
    template <typename Write>
    void close(const CompressorInput &in, const CompressorState &state, const Rope &rope,
               int64_t window, int worker, const Write &write) {
        float *entry = entries_[size_t(worker)].get<float>(in.dim);
        pool_window(in, state, window, entry);
        rms_norm_precise(entry, in.norm, entry, in.dim, context_.shape.norm_epsilon);
        float *angles = angles_[size_t(worker)].get<float>(rope.dim());
        rope.angles(uint32_t(window * in.ratio), angles);
        rotate(entry + in.dim - rope.dim(), angles, rope.dim(), false);
        write(entry);
    }
    static void stage(const CompressorInput &in, CompressorState &state);

  private:
    static void pool_window(const CompressorInput &in, const CompressorState &state, int64_t window,
                            float *entry);

    const Context &context_;
    std::deque<Buffer> entries_, angles_; // one a worker
};

} // namespace ds4::cpu
