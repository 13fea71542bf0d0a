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

Moe::Chosen Moe::choose(int layer, const LayerWeights &w, const int32_t *tokens, const float *x,
                        int64_t rows, Trace *trace) {
    const Shape &shape = context_.shape;
    const int64_t per_token = shape.experts_per_token, lines = rows * per_token;
    float *logits = logits_.get<float>(rows * shape.experts);
    Activations exact;
    exact.count = rows, exact.cols = shape.hidden, exact.values = x;
    const Product product{w.router, &exact, nullptr, rows, logits, shape.experts};
    multiply(context_.pool, context_.isa, {&product, 1});
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

Moe::Hidden Moe::project_up(const LayerWeights &w, const Routes &routes, const float *x,
                            int64_t rows) {
    const Shape &shape = context_.shape;
    const int64_t width = shape.moe_intermediate_size, lines = routes.lines;
    const Activations input = prepare(x, rows, shape.hidden, x_forms_);
    const Hidden hidden{gate_.get<float>(lines * width), up_.get<float>(lines * width),
                        shared_gate_.get<float>(rows * width), shared_up_.get<float>(rows * width)};
    std::vector<Product> products;
    for (int e = 0; e < shape.experts && lines > 0; e++) {
        const int64_t count = routes.count_of(e), first = routes.begin[e];
        if (count == 0) continue;
        const int32_t *tokens = routes.token_of + first;
        products.push_back(
            {w.gate[size_t(e)], &input, tokens, count, hidden.gate + first * width, width});
        products.push_back(
            {w.up[size_t(e)], &input, tokens, count, hidden.up + first * width, width});
    }
    products.push_back({w.shared_gate, &input, nullptr, rows, hidden.shared_gate, width});
    products.push_back({w.shared_up, &input, nullptr, rows, hidden.shared_up, width});
    multiply(context_.pool, context_.isa, products);
    return hidden;
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

void Moe::run_experts(const LayerShape &facts, const LayerWeights &weights, const Routes &routes,
                      const float *x, int64_t rows, float *out) {
    const Hidden hidden = project_up(weights, routes, x, rows);
    activate_all(facts, routes, hidden, rows);
    project_down(weights, routes, hidden, rows, out);
}

void Moe::run(int layer, const LayerWeights &weights, const int32_t *tokens, const float *x,
              int64_t rows, float *out, Trace *trace) {
    const LayerShape &facts = context_.shape.layer[size_t(layer)];
    const Chosen chosen = choose(layer, weights, tokens, x, rows, trace);
    if (context_.packed != nullptr && context_.packed->has(layer)) {
        run_experts(facts, weights, Routes{}, x, rows, out);
        const int64_t hidden = context_.shape.hidden;
        float *routed = down_.get<float>(rows * hidden);
        context_.packed->forward(layer, x, rows, chosen.ids, chosen.weights, routed);
        context_.each(rows, [&](int64_t t) {
            context_.vectors.add_scaled(out + t * hidden, 1.0f, routed + t * hidden, hidden);
        });
        return;
    }
    const Routes routes = group(chosen, rows);
    if (context_.first_use != nullptr)
        for (int e = 0; e < context_.shape.experts; e++)
            if (routes.count_of(e) > 0) context_.first_use->expert(layer, e, weights);
    run_experts(facts, weights, routes, x, rows, out);
}

} // namespace ds4::cpu
