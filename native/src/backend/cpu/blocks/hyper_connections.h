// Hyper-connections: the residual state of a token is `streams` vectors, and a sublayer reads a
// weighted sum of them. Its output is added to all streams, which a doubly-stochastic matrix mixes
// (docs/numerics.md#hyper-connections).
#pragma once
#include "backend/cpu/buffer.h"
#include "backend/cpu/context.h"
#include "backend/cpu/weights.h"

namespace ds4::cpu {

class HyperConnections {
  public:
    explicit HyperConnections(const Context &context) : context_(context) {}

    // The input of a sublayer, and the weights that its output goes back with.
    struct Collapsed {
        float *x;           // [count, hidden]
        float *post, *comb; // [count, streams], [count, streams, streams]
    };
    // streams [count, streams, hidden] -> out. norm [hidden]: of the RMSNorm that x ends with;
    // null: none.
    void collapse(const MixWeights &weights, const float *norm, const float *streams, int64_t count,
                  const Collapsed &out);
    // streams_k <- post_k y + sum_j comb[j][k] streams_j, in place, for channels begin..
    // begin+count-1 of one token. count <= kChannelBlock. Threads: any.
    void expand_block(const float *y, const float *post, const float *comb, int64_t token,
                      int64_t begin, int64_t count, float *streams) const;
    // The sum ahead of the output projection: x [count, hidden] of rows rows[i] of the streams.
    void collapse_head(const MixWeights &weights, const float *streams, const int32_t *rows,
                       int64_t count, float *x);

  private:
    // fn . v of the selected rows, [count, fn.rows]
    float *mix(const MixWeights &weights, const float *streams, const int32_t *rows, int64_t count);
    // Divides the mixing values of a token by rms(v).
    void scale_mix(const float *v, int64_t outputs, float *mix) const;
    void collapse_token(const MixWeights &weights, const float *norm, const float *streams,
                        int64_t token, float *mix, const Collapsed &out) const;

    const Context &context_;
    Workspace *memory_ = context_.workspace;
    Buffer mix_{memory_};
};

// pre [streams], post [streams], comb [streams, streams] of one token from its mixing values [(2 +
// streams) * streams].
void hyper_connection_weights(const Shape &shape, const float *mix, const float *base,
                              const float *scale, float *pre, float *post, float *comb);

} // namespace ds4::cpu
