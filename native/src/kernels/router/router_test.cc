#include "kernels/router/router.h"

#include <cmath>
#include <set>
#include <vector>

#include "backend/cpu/blocks/router.h"
#include "backend/cpu/blocks/unit_model.h"
#include "backend/cpu/kernels/weights_for_tests.h"
#include "base/test.h"

namespace {

using namespace ds4;
using cpu::test::Random;
using device::Memory;
using device::Stream;

template <typename T> Memory on_device(Stream &stream, const std::vector<T> &values) {
    Memory memory(values.size() * sizeof(T) + 4);
    stream.to_device(memory.data(), values.data(), values.size() * sizeof(T));
    return memory;
}
template <typename T> std::vector<T> to_host(Stream &stream, const Memory &memory, size_t count) {
    std::vector<T> values(count);
    stream.to_host(values.data(), memory.data(), count * sizeof(T));
    stream.wait();
    return values;
}

struct Routed {
    std::vector<int32_t> ids;
    std::vector<float> weights;
};
// table: empty in layers with a bias.
Routed route(const std::vector<float> &logits, const std::vector<float> &bias,
             const std::vector<int32_t> &table, const std::vector<int32_t> &tokens,
             const std::vector<int32_t> &row_sequence, int experts, int per_token, bool normalise) {
    Stream stream;
    const auto rows = int32_t(tokens.size());
    const Memory on_logits = on_device(stream, logits), on_bias = on_device(stream, bias),
                 on_table = on_device(stream, table), on_tokens = on_device(stream, tokens),
                 sequences = on_device(stream, row_sequence);
    const size_t count = size_t(rows * per_token);
    const Memory ids(count * 4 + 4), weights(count * 4 + 4);
    kernels::RouteParams params{.step = {},
                                .logits = on_logits.as<float>(),
                                .bias = table.empty() ? on_bias.as<float>() : nullptr,
                                .table = table.empty() ? nullptr : on_table.as<int32_t>(),
                                .experts = experts,
                                .per_token = per_token,
                                .routed_scale = 1.5f,
                                .normalise_weights = normalise,
                                .ids = ids.as<int32_t>(),
                                .weights = weights.as<float>()};
    params.step.rows = rows;
    params.step.tokens = on_tokens.as<int32_t>();
    params.step.row_sequence = sequences.as<int32_t>();
    kernels::route(params, stream);
    return {to_host<int32_t>(stream, ids, count), to_host<float>(stream, weights, count)};
}

// Against route_token for every row.
void expect_cpu(const std::vector<float> &logits, const std::vector<float> &bias, int experts,
                int per_token, bool normalise) {
    const int rows = int(logits.size()) / experts;
    const Routed got = route(logits, bias, {}, std::vector<int32_t>(size_t(rows)),
                             std::vector<int32_t>(size_t(rows)), experts, per_token, normalise);
    Shape shape = cpu::unit::shape();
    shape.experts = experts, shape.experts_per_token = per_token,
    shape.normalise_weights = normalise;
    cpu::LayerWeights w;
    w.router_bias.assign(bias.begin(), bias.end());
    for (int row = 0; row < rows; row++) {
        std::vector<int32_t> ids(static_cast<size_t>(per_token));
        std::vector<float> weights(static_cast<size_t>(per_token));
        cpu::route_token(shape, w, logits.data() + row * experts, 0, ids.data(), weights.data());
        for (int i = 0; i < per_token; i++) {
            CHECK(got.ids[size_t(row * per_token + i)] == ids[size_t(i)]);
            CHECK_CLOSE(got.weights[size_t(row * per_token + i)], weights[size_t(i)],
                        1e-6 * std::fabs(weights[size_t(i)]));
        }
    }
}

TEST("routes are the CPU's: ties, extreme logits, counts of experts and of choices") {
    Random random(1);
    const struct {
        int rows, experts, per_token;
    } cases[] = {{0, 5, 3}, {1, 256, 6}, {9, 256, 6}, {4, 384, 8},
                 {3, 5, 5}, {2, 1, 1},   {5, 33, 4}};
    for (const auto &c : cases)
        for (const float size : {1.0f, 30.0f, 3e4f})
            for (const bool normalise : {true, false}) {
                std::vector<float> logits(size_t(c.rows * c.experts)), bias(size_t(c.experts));
                // few distinct values, so that many are equal
                for (float &value : logits) value = size * float(random.below(9) - 4) * 0.25f;
                for (float &value : bias) value = float(random.below(3) - 1) * 0.125f;
                expect_cpu(logits, bias, c.experts, c.per_token, normalise);
                for (float &value : logits) value = size * random.symmetric();
                expect_cpu(logits, bias, c.experts, c.per_token, normalise);
            }
}

TEST("NaN logits are chosen last, by distinct ids in range") {
    const int experts = 40, per_token = 6;
    std::vector<float> logits(size_t(3 * experts), NAN);
    logits[3] = 1.0f, logits[17] = 2.0f; // row 0: four of NaN
    for (int e = 0; e < experts; e++) logits[size_t(experts + e)] = e % 2 == 0 ? NAN : float(e);
    const Routed got = route(logits, std::vector<float>(size_t(experts)), {}, {0, 0, 0}, {0, 0, 0},
                             experts, per_token, true);
    const auto row = [&](int r) {
        return std::vector<int32_t>(got.ids.begin() + r * per_token,
                                    got.ids.begin() + (r + 1) * per_token);
    };
    CHECK((row(0) == std::vector<int32_t>{17, 3, 0, 1, 2, 4}));
    CHECK((row(1) == std::vector<int32_t>{39, 37, 35, 33, 31, 29}));
    CHECK((row(2) == std::vector<int32_t>{0, 1, 2, 3, 4, 5}));
}

TEST("routes by a table follow the token; wrong ids and padded rows have no route") {
    const std::vector<int32_t> table = {4, 2, 0, 1, 3, 4, 2, 5, -1};
    const std::vector<float> logits = {0, 1, 2, 3, 4, 4, 3, 2, 1, 0, 1, 1, 2, 1, 1, 9, 9, 9, 9, 9};
    const Routed got = route(logits, {}, table, {1, 0, 2, 1}, {0, 0, 1, -1}, 5, 3, true);
    CHECK((got.ids == std::vector<int32_t>{1, 3, 4, 4, 2, 0, 2, -1, -1, -1, -1, -1}));
    Shape shape = cpu::unit::shape();
    cpu::LayerWeights w;
    w.router_table.assign(table.begin(), table.begin() + 6);
    for (int r = 0; r < 2; r++) {
        int32_t ids[3];
        float weights[3];
        cpu::route_token(shape, w, logits.data() + r * 5, r == 0 ? 1 : 0, ids, weights);
        for (int i = 0; i < 3; i++)
            CHECK_CLOSE(got.weights[size_t(r * 3 + i)], weights[i], 1e-6 * weights[i]);
    }
    CHECK_CLOSE(got.weights[6], 1.5, 1e-6);
    for (size_t i = 7; i < 12; i++) CHECK(got.weights[i] == 0.0f);
}

void expect_grouped(const std::vector<int32_t> &ids, int rows, int per_token, int experts) {
    Stream stream;
    std::vector<float> weights(ids.size());
    for (size_t i = 0; i < weights.size(); i++) weights[i] = float(i);
    const size_t count = ids.size();
    const Memory on_ids = on_device(stream, ids), on_weights = on_device(stream, weights);
    const Memory begin(uint64_t(experts + 1) * 4), row_of(count * 4), weight_of(count * 4),
        line_of(count * 4), active(uint64_t(experts) * 4), active_count(4);
    kernels::group_routes({on_ids.as<int32_t>(), on_weights.as<float>(), rows, per_token, experts,
                           begin.as<int32_t>(), row_of.as<int32_t>(), weight_of.as<float>(),
                           line_of.as<int32_t>(), active.as<int32_t>(), active_count.as<int32_t>()},
                          stream);
    std::vector<int32_t> begins, rows_of, lines(count, -1), actives;
    std::vector<float> weights_of;
    for (int e = 0; e < experts; e++) {
        begins.push_back(int32_t(rows_of.size()));
        for (size_t i = 0; i < count; i++) {
            if (ids[i] != e) continue;
            lines[i] = int32_t(rows_of.size());
            rows_of.push_back(int32_t(i) / per_token), weights_of.push_back(weights[i]);
        }
        if (int32_t(rows_of.size()) > begins.back()) actives.push_back(e);
    }
    begins.push_back(int32_t(rows_of.size()));
    CHECK(to_host<int32_t>(stream, begin, begins.size()) == begins);
    CHECK(to_host<int32_t>(stream, row_of, rows_of.size()) == rows_of);
    CHECK(to_host<float>(stream, weight_of, rows_of.size()) == weights_of);
    CHECK(to_host<int32_t>(stream, line_of, count) == lines);
    CHECK(to_host<int32_t>(stream, active_count, 1)[0] == int32_t(actives.size()));
    CHECK(to_host<int32_t>(stream, active, actives.size()) == actives);
}

TEST("routes are grouped by expert, ascending by row, for 1 to 8192 rows") {
    const struct {
        int rows, per_token, experts;
    } cases[] = {{1, 6, 256},  {1, 1, 1},     {8, 6, 256},    {31, 3, 5},
                 {65, 6, 256}, {333, 8, 384}, {8192, 6, 256}, {40, 2, 1024}};
    for (const auto &c : cases) {
        Random random(uint64_t(c.rows));
        std::vector<int32_t> ids(size_t(c.rows * c.per_token));
        for (int32_t &id : ids) id = int32_t(random.below(c.experts));
        expect_grouped(ids, c.rows, c.per_token, c.experts);
        if (c.rows > 1000) continue;
        // some without an expert, then all of one
        for (int32_t &id : ids) id = random.below(4) == 0 ? int32_t(random.below(9)) - 8 : id;
        for (int32_t &id : ids) id = random.below(9) == 0 ? c.experts : id;
        expect_grouped(ids, c.rows, c.per_token, c.experts);
        expect_grouped(std::vector<int32_t>(ids.size(), c.experts - 1), c.rows, c.per_token,
                       c.experts);
    }
}

} // namespace
