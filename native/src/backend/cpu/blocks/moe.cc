#include "backend/cpu/blocks/moe.h"

#include <algorithm>
#include <cmath>
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
Moe::Hidden Moe::project_unrouted(const LayerWeights &w, const Activations &input) {
    const Shape &shape = context_.shape;
    const int64_t width = shape.moe_intermediate_size, rows = input.count;
    Hidden hidden{};
    hidden.router = logits_.get<float>(rows * shape.experts);
    hidden.shared_gate = shared_gate_.get<float>(rows * width);
    hidden.shared_up = shared_up_.get<float>(rows * width);
    Activations exact;
    exact.count = rows, exact.cols = shape.hidden, exact.values = input.values;
    const Product products[] = {{w.router, &exact, nullptr, rows, hidden.router, shape.experts},
                                {w.shared_gate, &input, nullptr, rows, hidden.shared_gate, width},
                                {w.shared_up, &input, nullptr, rows, hidden.shared_up, width}};
    multiply(context_.pool, context_.isa, products);
    return hidden;
}

Moe::Chosen Moe::choose(int layer, const LayerWeights &w, const int32_t *tokens,
                        const float *logits, int64_t rows, Trace *trace) {
    const Shape &shape = context_.shape;
    const int64_t per_token = shape.experts_per_token, lines = rows * per_token;
    const Chosen chosen{ids_.get<int32_t>(lines), weights_.get<float>(lines)};
    context_.each(rows, [&](int64_t t) {
        route_token(shape, w, logits + t * shape.experts, tokens[t], chosen.ids + t * per_token,
                    chosen.weights + t * per_token);
    });
    if (trace != nullptr) {
        trace->put("layer" + std::to_string(layer) + ".route_ids",
                   std::vector<float>(chosen.ids, chosen.ids + lines));
        trace->put("route_weights", layer, chosen.weights, lines);
        trace->put("route_logits", layer, logits, rows * shape.experts);
    }
    return chosen;
}

Moe::Routes Moe::group(const Chosen &chosen, int64_t rows) {
    const Shape &shape = context_.shape;
    const int64_t per_token = shape.experts_per_token, lines = rows * per_token;
    const Routes routes{lines, token_of_.get<int32_t>(lines), line_of_.get<int32_t>(lines),
                        weight_of_.get<float>(lines), begin_.get<int32_t>(shape.experts + 1)};
    std::fill_n(routes.begin, shape.experts + 1, 0);
    for (int64_t i = 0; i < lines; i++) routes.begin[chosen.ids[i] + 1]++;
    std::partial_sum(routes.begin, routes.begin + shape.experts + 1, routes.begin);
    std::vector<int32_t> next(routes.begin, routes.begin + shape.experts);
    for (int64_t i = 0; i < lines; i++) {
        const int32_t line = next[size_t(chosen.ids[i])]++;
        routes.token_of[line] = int32_t(i / per_token), routes.line_of[i] = line,
        routes.weight_of[line] = chosen.weights[i];
    }
    return routes;
}

Activations Moe::prepare(const float *values, int64_t count, int64_t cols, Buffer &memory) {
    const int64_t bytes = int64_t(activation_bytes(count, cols, context_.precision));
    return prepare_activations(context_.pool, context_.isa, values, count, cols, context_.precision,
                               memory.get<uint8_t>(bytes));
}

void Moe::project_up(const LayerWeights &w, const Routes &routes, const Activations &input,
                     Hidden &hidden) {
    const Shape &shape = context_.shape;
    const int64_t width = shape.moe_intermediate_size, lines = routes.lines;
    if (lines == 0) return;
    hidden.gate = gate_.get<float>(lines * width), hidden.up = up_.get<float>(lines * width);
    std::vector<Product> products;
    for (int e = 0; e < shape.experts; e++) {
        const int64_t count = routes.count_of(e), first = routes.begin[e];
        if (count == 0) continue;
        const int32_t *tokens = routes.token_of + first;
        products.push_back(
            {w.gate[size_t(e)], &input, tokens, count, hidden.gate + first * width, width});
        products.push_back(
            {w.up[size_t(e)], &input, tokens, count, hidden.up + first * width, width});
    }
    multiply(context_.pool, context_.isa, products);
}

void Moe::activate_all(const LayerShape &facts, const Routes &routes, const Hidden &hidden,
                       int64_t rows) {
    const int64_t width = context_.shape.moe_intermediate_size, lines = routes.lines;
    const float shared_limit = context_.shared_clamp ? facts.shared_swiglu_limit : 0.0f;
    context_.each(lines + rows, [&](int64_t i) {
        const int64_t t = i - lines;
        if (i < lines)
            activate(hidden.gate + i * width, hidden.up + i * width, width, facts.swiglu_limit,
                     routes.weight_of[i]);
        else
            activate(hidden.shared_gate + t * width, hidden.shared_up + t * width, width,
                     shared_limit, 1.0f);
    });
}

void Moe::project_down(const LayerWeights &w, const Routes &routes, const Hidden &hidden,
                       int64_t rows, float *out) {
    const Shape &shape = context_.shape;
    const int64_t width = shape.moe_intermediate_size, size = shape.hidden,
                  per_token = shape.experts_per_token, lines = routes.lines;
    const Activations inner = prepare(hidden.gate, lines, width, hidden_forms_),
                      shared_inner = prepare(hidden.shared_gate, rows, width, shared_forms_);
    float *down = down_.get<float>(lines * size);
    int32_t *line = lines_.get<int32_t>(lines);
    std::iota(line, line + lines, 0);
    std::vector<Product> products;
    for (int e = 0; e < shape.experts; e++)
        if (const int64_t count = routes.count_of(e); count != 0)
            products.push_back({w.down[size_t(e)], &inner, line + routes.begin[e], count,
                                down + routes.begin[e] * size, size});
    products.push_back({w.shared_down, &shared_inner, nullptr, rows, out, size});
    multiply(context_.pool, context_.isa, products);
    if (lines == 0) return;
    context_.each(rows, [&](int64_t t) {
        for (int64_t slot = 0; slot < per_token; slot++)
            context_.vectors.add_scaled(out + t * size, 1.0f,
                                        down + routes.line_of[t * per_token + slot] * size, size);
    });
}

void Moe::run(int layer, const LayerWeights &weights, const int32_t *tokens, const float *x,
              int64_t rows, float *out, Trace *trace) {
    const LayerShape &facts = context_.shape.layer[size_t(layer)];
    const Activations input = prepare(x, rows, context_.shape.hidden, x_forms_);
    Hidden hidden = project_unrouted(weights, input);
    const Chosen chosen = choose(layer, weights, tokens, hidden.router, rows, trace);
    const bool packed = context_.packed != nullptr && context_.packed->has(layer);
    const Routes routes = packed ? Routes{} : group(chosen, rows);
    if (context_.first_use != nullptr && !packed)
        for (int e = 0; e < context_.shape.experts; e++)
            if (routes.count_of(e) > 0) context_.first_use->expert(layer, e, weights);
    project_up(weights, routes, input, hidden);
    activate_all(facts, routes, hidden, rows);
    project_down(weights, routes, hidden, rows, out);
    if (!packed) return;
    const int64_t size = context_.shape.hidden;
    float *routed = down_.get<float>(rows * size);
    context_.packed->forward(layer, x, rows, chosen.ids, chosen.weights, routed);
    context_.each_of_channels(rows, size, [&](int64_t t) {
        context_.vectors.add_scaled(out + t * size, 1.0f, routed + t * size, size);
    });
}

} // namespace ds4::cpu
