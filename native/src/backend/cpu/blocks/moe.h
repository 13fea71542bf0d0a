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
             int64_t rows, float *out, Trace *trace);

  private:
    struct Chosen {
        int32_t *ids;   // [rows, experts per token]
        float *weights; // [rows, experts per token]
    };
    // Routes grouped by expert: one line for each chosen expert of each token. The lines of an
    // expert are neighbours.
    struct Routes {
        int64_t lines;     // 0: the routed experts are packed, and there are no arrays
        int32_t *token_of; // [lines] row of x
        int32_t *line_of;  // [rows, experts per token]
        float *weight_of;  // [lines]
        int32_t *begin;    // [experts + 1] first line of an expert
        int64_t count_of(int expert) const {
            return lines == 0 ? 0 : begin[expert + 1] - begin[expert];
        }
    };
    // Router values, gate and up projections; activate turns the gates into the inputs of the down
    // projections.
    struct Hidden {
        float *router;                  // [rows, experts]
        float *gate, *up;               // [lines, intermediate]
        float *shared_gate, *shared_up; // [rows, intermediate]
    };
    Hidden project_unrouted(const LayerWeights &weights, const Activations &input);
    Chosen choose(int layer, const LayerWeights &weights, const int32_t *tokens,
                  const float *logits, int64_t rows, Trace *trace);
    Routes group(const Chosen &chosen, int64_t rows);
    Activations prepare(const float *values, int64_t count, int64_t cols, Buffer &memory);
    void project_up(const LayerWeights &weights, const Routes &routes, const Activations &input,
                    Hidden &hidden);
    void activate_all(const LayerShape &facts, const Routes &routes, const Hidden &hidden,
                      int64_t rows);
    // Adds the routed lines to the shared expert's output, in the order of each token's slots.
    void project_down(const LayerWeights &weights, const Routes &routes, const Hidden &hidden,
                      int64_t rows, float *out);

    const Context &context_;
    Workspace *memory_ = context_.workspace;
    Buffer logits_{memory_}, ids_{memory_}, weights_{memory_}, token_of_{memory_},
        line_of_{memory_}, weight_of_{memory_}, begin_{memory_}, x_forms_{memory_};
    Buffer gate_{memory_}, up_{memory_}, hidden_forms_{memory_}, down_{memory_},
        shared_gate_{memory_}, shared_up_{memory_}, shared_forms_{memory_}, lines_{memory_};
};

} // namespace ds4::cpu
