// Routed and shared experts of one layer (docs/numerics.md#experts).
#pragma once
#include "backend/cpu/buffer.h"
#include "backend/cpu/context.h"
#include "backend/cpu/weights.h"
#include "base/trace.h"

namespace ds4::cpu {

// gate <- silu(min(gate, limit)) * clamp(up, -limit, limit) * weight, in place; limit <= 0: no
// clamp.
void activate(float *gate, const float *up, int64_t n, float limit, float weight);

class Moe {
  public:
    explicit Moe(const Context &context) : context_(context) {}
    // x [rows, hidden] after the FFN norm, tokens [rows] -> out [rows, hidden].
    void run(int layer, const LayerWeights &weights, const int32_t *tokens, const float *x,
             int64_t rows, float *out, Trace *trace, const ChannelsDone &done = {});

  private:
    struct Step { // one call of run
        int layer;
        const LayerShape &facts;
        const LayerWeights &weights;
        const int32_t *tokens; // [rows]
        int64_t rows;
        int32_t *ids;         // [rows, experts per token], once the router has run
        float *route_weights; // [rows, experts per token], likewise
        Trace *trace;
        const ChannelsDone &done;
    };
    // Routes grouped by expert: one line for each chosen expert of each token. The lines of an
    // expert are neighbours.
    struct Routes {
        int64_t lines;
        int32_t *token_of; // [lines] row of x
        int32_t *line_of;  // [rows, experts per token]
        float *weight_of;  // [lines]
        int32_t *begin;    // [experts + 1] first line of an expert
        int64_t count_of(int expert) const { return begin[expert + 1] - begin[expert]; }
    };
    Activations prepare(const float *values, int64_t count, int64_t cols, Buffer &memory);
    void project_unrouted(const Step &step, const Activations &input);
    void run_packed(const Step &step, const float *x, float *out);
    void run_mapped(const Step &step, const Activations &input, float *out);
    Routes group(const Step &step);
    float *project_up(const Step &step, const Routes &routes, const Activations &input);
    void project_down(const Step &step, const Routes &routes, const float *gate, float *out);
    void add_lines(const Routes &routes, const float *down, int64_t token, int64_t begin,
                   int64_t count, float *out) const;

    const Context &context_;
    Workspace *memory_ = context_.workspace;
    Buffer logits_{memory_}, ids_{memory_}, weights_{memory_}, token_of_{memory_},
        line_of_{memory_}, weight_of_{memory_}, begin_{memory_}, x_forms_{memory_};
    Buffer gate_{memory_}, up_{memory_}, hidden_forms_{memory_}, down_{memory_},
        shared_gate_{memory_}, shared_up_{memory_}, shared_forms_{memory_}, lines_{memory_};
};

} // namespace ds4::cpu
