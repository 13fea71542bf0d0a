// Faults of the CPU backend's other blocks, the model and the boundary.
import type { Mutation } from "./mutation.ts"

const BLOCKS = "native/src/backend/cpu/blocks"

export const BLOCK_ROWS: readonly Mutation[] = [
  {
    name: "the gate is clamped from below too",
    file: `${BLOCKS}/moe.cc`,
    find: "g = std::min(g, limit)",
    replace: "g = std::clamp(g, -limit, limit)",
    tests: ["the clamp holds the gate from above only"],
  },
  {
    name: "of equal router scores the larger expert wins",
    file: `${BLOCKS}/router.cc`,
    find: "for (; place > 0 && values[e] > values[ids[place - 1]]; place--)",
    replace: "for (; place > 0 && values[e] >= values[ids[place - 1]]; place--)",
    tests: ["equal scores go to the smaller expert"],
  },
  {
    name: "the bias that chooses experts also weighs them",
    file: `${BLOCKS}/router.cc`,
    find: "sum += chosen_weights[i] = score_of(logits[ids[i]]);",
    replace:
      "sum += chosen_weights[i] = score_of(logits[ids[i]]) + " +
      "(weights.router_bias.empty() ? 0.0f : weights.router_bias[size_t(ids[i])]);",
    tests: ["a router's weights sum to the scale"],
  },
  {
    name: "the first half of an overlapping window is left out",
    file: `${BLOCKS}/compressor.cc`,
    find: "in.halves == 2 && window > 0",
    replace: "in.halves == 3 && window > 0",
    tests: ["an entry depends on its own tokens only"],
  },
  {
    name: "the position bias of a compressor counts from the step's first token",
    file: `${BLOCKS}/compressor.cc`,
    find: "(in.first + token) % in.ratio",
    replace: "token % in.ratio",
    tests: ["the position bias is that of the window's positions"],
  },
  {
    name: "one Sinkhorn iteration is missing",
    file: `${BLOCKS}/hyper_connections.cc`,
    find: "for (int i = 1; i < shape.sinkhorn_iterations; i++)",
    replace: "for (int i = 2; i < shape.sinkhorn_iterations; i++)",
    tests: ["hyper-connections collapse, mix and expand as recorded"],
  },
  {
    name: "the mixing matrix of hyper-connections is transposed",
    file: `${BLOCKS}/hyper_connections.cc`,
    find: "comb[(token * n + j) * n + k]",
    replace: "comb[(token * n + k) * n + j]",
    tests: ["hyper-connections collapse, mix and expand as recorded"],
  },
  {
    name: "the rotation of attention's values is not undone",
    file: `${BLOCKS}/attend_heads.cc`,
    find: "rotate(to + dim - rotary, angles, rotary, true);",
    replace: "static_cast<void>(angles);",
    tests: ["window attention with sinks equals the recorded layer"],
  },
  {
    name: "a query sees one token too many of the sliding window",
    file: `${BLOCKS}/sequence_attention.cc`,
    find: "low = std::max<int64_t>(0, position - (context_.shape.sliding_window - 1));",
    replace: "low = std::max<int64_t>(0, position - context_.shape.sliding_window);",
    tests: ["window attention with sinks equals the recorded layer"],
  },
  {
    name: "of damaged rows that two threads find, one at random is told",
    file: "native/src/backend/cpu/first_use.cc",
    find: "while (row < lowest && ",
    replace: "while (row < matrix.rows && ",
    tests: ["of several damaged rows the first is named"],
  },
  {
    name: "unknown bytes of a longer struct are accepted whatever they hold",
    file: "native/src/api/growable.cc",
    find: "if (from[i] != 0)",
    replace: "if (from[i] > 255)",
    tests: ["job options of an older or a newer header", "engine and session options"],
  },
  {
    name: "a field that the caller's struct ends within is taken in part",
    file: "native/src/api/growable.cc",
    find: "return field.offset;",
    replace: "return bytes;",
    tests: ["a field that the caller's struct lacks or ends within"],
  },
  {
    name: "a stop string that begins again inside itself is missed",
    file: "native/src/core/sampling/stop_strings.cc",
    find: "pattern.matched = pattern.fallback[pattern.matched - 1];",
    replace: "pattern.matched = 0;",
    tests: ["stop strings agree with a plain search"],
  },
  {
    name: "a session that a job owns is reset by anybody",
    file: "native/src/core/engine.cc",
    find: "access == Access::apart && session->claimed",
    replace: "access == Access::apart && session->claimed && session->busy && false",
    tests: ["calls that would change a session are refused while a job owns it"],
  },
  {
    name: "the shared expert is clamped by the limit of the routed ones",
    file: `${BLOCKS}/moe.cc`,
    find: "context_.shared_clamp ? step.facts.shared_swiglu_limit : 0.0f",
    replace: "context_.shared_clamp ? step.facts.swiglu_limit : 0.0f",
    tests: ["the shared expert is clamped by its own limit"],
  },
  {
    name: "the switch that turns the shared expert's clamp off does nothing",
    file: `${BLOCKS}/moe.cc`,
    find: "context_.shared_clamp ? step.facts.shared_swiglu_limit : 0.0f",
    replace: "step.facts.shared_swiglu_limit",
    tests: ["the shared expert is clamped by its own limit"],
  },
  {
    name: "every slice of attention counts the sink",
    file: `${BLOCKS}/attend_heads.cc`,
    find: "slice == 0 ? in.sinks[begin + h] : -INFINITY",
    replace: "in.sinks[begin + h]",
    tests: ["attention over window and compressed rows equals a float64 loop"],
  },
  {
    name: "the largest score of a later slice does not rescale the earlier ones",
    file: `${BLOCKS}/attend_heads.cc`,
    find: "sum[i] = sum[i] * old_weight + slice[i] * new_weight;",
    replace: "sum[i] = sum[i] + slice[i] * new_weight;",
    tests: ["attention over window and compressed rows equals a float64 loop"],
  },
  {
    name: "attention's output is too large by a few millionths, ten times its error",
    file: `${BLOCKS}/attend_heads.cc`,
    find: "const float inverse = 1.0f / partial[kTotal];",
    replace: "const float inverse = (1.0f + 3e-6f) / partial[kTotal];",
    tests: ["attention over window and compressed rows equals a float64 loop"],
  },
  {
    name: "routed experts count for a little too much, ten times their error",
    file: `${BLOCKS}/moe.cc`,
    find: "add_scaled(out + token * size + begin, 1.0f,",
    replace: "add_scaled(out + token * size + begin, 1.0f + 3e-5f,",
    tests: ["a layer of experts equals the recorded one, routed by score"],
  },
]
