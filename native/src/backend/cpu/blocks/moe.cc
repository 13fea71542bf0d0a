#include "backend/cpu/blocks/moe.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>
#include <vector>

#include "backend/cpu/blocks/router.h"
#include "experts/packed_experts.h"

namespace ds4::cpu {

void activate(float *gate, const float *up, int64_t n, float limit, float weight) {
    for (int64_t i = 0; i < n; i++) {
        float g = gate[i], u = up[i];
        if (limit > 0.0f)
            g = std::min(g, limit), u = std::clamp(u, -limit, limit); // the gate has no lower clamp
        gate[i] = g / (1.0f + std::exp(-g)) * u * weight;
    }
}

// The products that need no route: the router, whose input is not rounded, and the shared expert.
// The router's values become routes, and the shared gates inputs of the down projection.
void Moe::project_unrouted(const Step &step, const Activations &input) {
    const Shape &shape = context_.shape;
    const int64_t width = shape.moe_intermediate_size, rows = step.rows;
    float *router = logits_.get<float>(rows * shape.experts),
          *gate = shared_gate_.get<float>(rows * width), *up = shared_up_.get<float>(rows * width);
    const float limit = context_.shared_clamp ? step.facts.shared_swiglu_limit : 0.0f;
    const auto route = [&](int64_t t) {
        route_token(shape, step.weights, router + t * shape.experts, step.tokens[t],
                    step.ids + t * shape.experts_per_token,
                    step.route_weights + t * shape.experts_per_token);
    };
    Epilogue routing(shape.experts, [&](int64_t) {
        for (int64_t t = 0; t < rows; t++) route(t);
    });
    Epilogue activation(kChannelBlock, [&](int64_t group) {
        const int64_t begin = group * kChannelBlock, count = std::min(kChannelBlock, width - begin);
        for (int64_t t = 0; t < rows; t++)
            activate(gate + t * width + begin, up + t * width + begin, count, limit, 1.0f);
    });
    const bool few = rows <= kEpilogueTokens;
    Epilogue *const after = few ? &activation : nullptr;
    Activations exact;
    exact.count = rows, exact.cols = shape.hidden, exact.values = input.values;
    const LayerWeights &w = step.weights;
    const Product products[] = {
        {w.router, &exact, nullptr, rows, router, shape.experts, few ? &routing : nullptr},
        {w.shared_gate, &input, nullptr, rows, gate, width, after},
        {w.shared_up, &input, nullptr, rows, up, width, after}};
    multiply(context_.pool, context_.isa, products);
    if (!few)
        context_.each(rows, [&](int64_t t) {
            route(t);
            activate(gate + t * width, up + t * width, width, limit, 1.0f);
        });
    if (step.trace == nullptr) return;
    const int64_t lines = rows * shape.experts_per_token;
    step.trace->put("layer" + std::to_string(step.layer) + ".route_ids",
                    std::vector<float>(step.ids, step.ids + lines));
    step.trace->put("route_weights", step.layer, step.route_weights, lines);
    step.trace->put("route_logits", step.layer, router, rows * shape.experts);
}

Moe::Routes Moe::group(const Step &step) {
    const Shape &shape = context_.shape;
    const int64_t per_token = shape.experts_per_token, lines = step.rows * per_token;
    const Routes routes{lines, token_of_.get<int32_t>(lines), line_of_.get<int32_t>(lines),
                        weight_of_.get<float>(lines), begin_.get<int32_t>(shape.experts + 1)};
    std::fill_n(routes.begin, shape.experts + 1, 0);
    for (int64_t i = 0; i < lines; i++) routes.begin[step.ids[i] + 1]++;
    std::partial_sum(routes.begin, routes.begin + shape.experts + 1, routes.begin);
    std::vector<int32_t> next(routes.begin, routes.begin + shape.experts);
    for (int64_t i = 0; i < lines; i++) {
        const int32_t line = next[size_t(step.ids[i])]++;
        routes.token_of[line] = int32_t(i / per_token), routes.line_of[i] = line,
        routes.weight_of[line] = step.route_weights[i];
    }
    return routes;
}

Activations Moe::prepare(const float *values, int64_t count, int64_t cols, Buffer &memory) {
    const int64_t bytes = int64_t(activation_bytes(count, cols, context_.precision));
    return prepare_activations(context_.pool, context_.isa, values, count, cols, context_.precision,
                               memory.get<uint8_t>(bytes));
}

// Gate and up projections of the chosen experts. Their gates become the down projections' inputs.
float *Moe::project_up(const Step &step, const Routes &routes, const Activations &input) {
    const Shape &shape = context_.shape;
    const int64_t width = shape.moe_intermediate_size, lines = routes.lines;
    const float limit = step.facts.swiglu_limit;
    float *gate = gate_.get<float>(lines * width), *up = up_.get<float>(lines * width);
    const bool few = step.rows <= kEpilogueTokens;
    std::vector<Product> products;
    std::deque<Epilogue> activations; // one an expert
    for (int e = 0; e < shape.experts; e++) {
        const int64_t first = routes.begin[e], end = routes.begin[e + 1], count = end - first;
        if (count == 0) continue;
        const int32_t *tokens = routes.token_of + first;
        Epilogue &after = activations.emplace_back(kChannelBlock, [=](int64_t group) {
            const int64_t begin = group * kChannelBlock,
                          channels = std::min(kChannelBlock, width - begin);
            for (int64_t i = first; i < end; i++)
                activate(gate + i * width + begin, up + i * width + begin, channels, limit,
                         routes.weight_of[i]);
        });
        Epilogue *const epilogue = few ? &after : nullptr;
        products.push_back({step.weights.gate[size_t(e)], &input, tokens, count,
                            gate + first * width, width, epilogue});
        products.push_back({step.weights.up[size_t(e)], &input, tokens, count, up + first * width,
                            width, epilogue});
    }
    multiply(context_.pool, context_.isa, products);
    if (!few)
        context_.each(lines, [&](int64_t i) {
            activate(gate + i * width, up + i * width, width, limit, routes.weight_of[i]);
        });
    return gate;
}

// Adds the routed lines to the shared expert's output, in the order of each token's slots.
void Moe::add_lines(const Routes &routes, const float *down, int64_t token, int64_t begin,
                    int64_t count, float *out) const {
    const int64_t per_token = context_.shape.experts_per_token, size = context_.shape.hidden;
    for (int64_t slot = 0; slot < per_token; slot++)
        context_.vectors.add_scaled(out + token * size + begin, 1.0f,
                                    down + routes.line_of[token * per_token + slot] * size + begin,
                                    count);
}

void Moe::project_down(const Step &step, const Routes &routes, const float *gate, float *out) {
    const Shape &shape = context_.shape;
    const int64_t width = shape.moe_intermediate_size, size = shape.hidden, rows = step.rows,
                  lines = routes.lines;
    const Activations inner = prepare(gate, lines, width, hidden_forms_),
                      shared = prepare(shared_gate_.get<float>(rows * width), rows, width,
                                       shared_forms_);
    float *down = down_.get<float>(lines * size);
    int32_t *line = lines_.get<int32_t>(lines);
    std::iota(line, line + lines, 0);
    const auto add = [&](int64_t t, int64_t begin, int64_t count) {
        add_lines(routes, down, t, begin, count, out);
        if (step.done) step.done(t, begin, count);
    };
    Epilogue adding(kChannelBlock, [&](int64_t block) {
        const int64_t begin = block * kChannelBlock;
        for (int64_t t = 0; t < rows; t++) add(t, begin, std::min(kChannelBlock, size - begin));
    });
    const bool few = rows <= kEpilogueTokens;
    Epilogue *const after = few ? &adding : nullptr;
    std::vector<Product> products;
    for (int e = 0; e < shape.experts; e++)
        if (const int64_t count = routes.count_of(e); count != 0)
            products.push_back({step.weights.down[size_t(e)], &inner, line + routes.begin[e], count,
                                down + routes.begin[e] * size, size, after});
    products.push_back({step.weights.shared_down, &shared, nullptr, rows, out, size, after});
    multiply(context_.pool, context_.isa, products);
    if (!few) context_.each_block(rows, size, add);
}

void Moe::run_mapped(const Step &step, const Activations &input, float *out) {
    const Routes routes = group(step);
    if (context_.first_use != nullptr)
        for (int e = 0; e < context_.shape.experts; e++)
            if (routes.count_of(e) > 0) context_.first_use->expert(step.layer, e, step.weights);
    project_down(step, routes, project_up(step, routes, input), out);
}

// The shared expert's down projection has no region of its own: threads do it before their part of
// the routed experts.
void Moe::run_packed(const Step &step, const float *x, float *out) {
    const int64_t width = context_.shape.moe_intermediate_size, size = context_.shape.hidden,
                  rows = step.rows;
    const Activations shared =
        prepare(shared_gate_.get<float>(rows * width), rows, width, shared_forms_);
    const Product product{step.weights.shared_down, &shared, nullptr, rows, out, size};
    Multiplication down(context_.pool.threads(), context_.isa, {&product, 1});
    float *routed = down_.get<float>(rows * size);
    context_.packed->forward(step.layer, x, rows, step.ids, step.route_weights, routed,
                             [&](int worker, int) { down.work(worker); });
    context_.each_block(rows, size, [&](int64_t t, int64_t begin, int64_t count) {
        context_.vectors.add_scaled(out + t * size + begin, 1.0f, routed + t * size + begin, count);
        if (step.done) step.done(t, begin, count);
    });
}

void Moe::run(int layer, const LayerWeights &weights, const int32_t *tokens, const float *x,
              int64_t rows, float *out, Trace *trace, const ChannelsDone &done) {
    const Shape &shape = context_.shape;
    const Step step{layer,
                    shape.layer[size_t(layer)],
                    weights,
                    tokens,
                    rows,
                    ids_.get<int32_t>(rows * shape.experts_per_token),
                    weights_.get<float>(rows * shape.experts_per_token),
                    trace,
                    done};
    const Activations input = prepare(x, rows, shape.hidden, x_forms_);
    project_unrouted(step, input);
    if (context_.packed != nullptr && context_.packed->has(layer))
        run_packed(step, x, out);
    else
        run_mapped(step, input, out);
}

} // namespace ds4::cpu
