#include "kernels/experts/experts.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "backend/cpu/blocks/moe.h"
#include "backend/cpu/blocks/unit_model.h"
#include "backend/cpu/kernels/weights_for_tests.h"
#include "base/test.h"
#include "ds4.h"
#include "kernels/formats/format.h"
#include "kernels/router/router.h"

namespace {

using namespace ds4;
using cpu::test::Random;
using cpu::test::Weights;
using device::Memory;
using device::Stream;

template <typename T> Memory on_device(Stream &stream, const std::vector<T> &values) {
    Memory memory(std::max<size_t>(values.size(), 4) * sizeof(T));
    stream.to_device(memory.data(), values.data(), values.size() * sizeof(T));
    return memory;
}
template <typename T> std::vector<T> to_host(Stream &stream, const Memory &memory, size_t count) {
    std::vector<T> values(count);
    stream.to_host(values.data(), memory.data(), count * sizeof(T));
    stream.wait();
    return values;
}

// The bytes of a matrix in its packed form.
std::vector<uint8_t> packed(const cpu::Matrix &m) {
    const kernels::formats::HostFormat &format = *kernels::formats::host_format(m.type);
    const int64_t strips = kernels::formats::strips_of(m.rows),
                  bytes = kernels::formats::strip_bytes(format.tile_bytes, format.side_bytes,
                                                        kernels::formats::tiles_of(m.cols));
    std::vector<uint8_t> out(size_t((strips * bytes + 255) / 256 * 256));
    for (int64_t strip = 0; strip < strips; strip++)
        format.pack_strip({m.type, m.rows, m.cols, m.data, m.scales}, strip,
                          out.data() + strip * bytes);
    return out;
}

// Experts in device memory, one record each.
struct Bank {
    kernels::ExpertBank bank;
    std::vector<Memory> records;
    Memory table;

    Bank(Stream &stream, const std::vector<cpu::Matrix> &gate, const std::vector<cpu::Matrix> &up,
         const std::vector<cpu::Matrix> &down) {
        bank.gate_type = gate[0].type, bank.up_type = up[0].type, bank.down_type = down[0].type;
        bank.experts = int32_t(gate.size()), bank.hidden = int32_t(gate[0].cols),
        bank.width = int32_t(gate[0].rows);
        std::vector<const uint8_t *> places;
        for (size_t e = 0; e < gate.size(); e++) {
            std::vector<uint8_t> bytes = packed(gate[e]);
            bank.up_offset = int64_t(bytes.size());
            for (const std::vector<uint8_t> &part : {packed(up[e]), packed(down[e])}) {
                bank.down_offset = int64_t(bytes.size());
                bytes.insert(bytes.end(), part.begin(), part.end());
            }
            records.push_back(on_device(stream, bytes));
            places.push_back(records.back().data());
        }
        table = on_device(stream, places);
        bank.records = table.as<const uint8_t *>();
        stream.wait();
    }
};

// Routes of some rows; an id of -1 is no route.
struct Routes {
    int32_t rows, per_token;
    std::vector<int32_t> ids;
    std::vector<float> weights;
};

// Routes by line in device memory.
struct Lines {
    Memory ids, weights, begin, row_of, weight_of, line_of, active, active_count;

    Lines(Stream &stream, const Routes &routes, int experts)
        : ids(on_device(stream, routes.ids)), weights(on_device(stream, routes.weights)),
          begin(uint64_t(experts + 1) * 4), row_of(ids.bytes()), weight_of(ids.bytes()),
          line_of(ids.bytes()), active(uint64_t(experts) * 4), active_count(4) {
        kernels::group_routes({ids.as<int32_t>(), weights.as<float>(), routes.rows,
                               routes.per_token, experts, begin.as<int32_t>(), row_of.as<int32_t>(),
                               weight_of.as<float>(), line_of.as<int32_t>(), active.as<int32_t>(),
                               active_count.as<int32_t>()},
                              stream);
    }
    kernels::RouteLines lines(const Routes &routes) const {
        return {routes.rows,
                routes.per_token,
                begin.as<int32_t>(),
                row_of.as<int32_t>(),
                line_of.as<int32_t>(),
                active.as<int32_t>(),
                active_count.as<int32_t>(),
                weight_of.as<float>()};
    }
};

// All that routed_experts leaves.
struct Results {
    std::vector<int32_t> begin, row_of, line_of;
    std::vector<float> weight_of, hidden, h_scales, partials, out;
    std::vector<int8_t> quants;
};

// x and shared: [rows, hidden] of the bank.
Results run(Stream &stream, const Bank &bank, const Routes &routes, const std::vector<float> &x,
            const std::vector<float> &shared, float limit, bool is_int8) {
    const kernels::ExpertBank &b = bank.bank;
    const size_t rows = size_t(routes.rows), lines = rows * size_t(routes.per_token),
                 hidden = size_t(b.hidden), width = size_t(b.width);
    const Lines grouped(stream, routes, b.experts);
    const Memory values = on_device(stream, x), start = on_device(stream, shared);
    const Memory quants(x.size()), scales(x.size() / 32 * 4), h(lines * width * 4),
        h_quants(lines * width), h_scales(lines * width / 32 * 4), partials(lines * hidden * 4),
        out(rows * hidden * 4);
    if (is_int8)
        kernels::quantise({values.as<float>(), routes.rows, b.hidden, quants.as<int8_t>(),
                           scales.as<float>(), nullptr},
                          stream);
    kernels::routed_experts({.bank = b,
                             .lines = grouped.lines(routes),
                             .x = {.rows = routes.rows,
                                   .cols = b.hidden,
                                   .values = values.as<float>(),
                                   .quants = is_int8 ? quants.as<int8_t>() : nullptr,
                                   .scales = is_int8 ? scales.as<float>() : nullptr},
                             .limit = limit,
                             .hidden = h.as<float>(),
                             .quants = is_int8 ? h_quants.as<int8_t>() : nullptr,
                             .scales = is_int8 ? h_scales.as<float>() : nullptr,
                             .partials = partials.as<float>(),
                             .shared = start.as<float>(),
                             .out = out.as<float>()},
                            stream);
    Results r;
    r.begin = to_host<int32_t>(stream, grouped.begin, size_t(b.experts + 1));
    const size_t used = rows == 0 ? 0 : size_t(r.begin.back());
    r.row_of = to_host<int32_t>(stream, grouped.row_of, used);
    r.line_of = to_host<int32_t>(stream, grouped.line_of, lines);
    r.weight_of = to_host<float>(stream, grouped.weight_of, used);
    r.hidden = to_host<float>(stream, h, used * width);
    r.partials = to_host<float>(stream, partials, used * hidden);
    r.out = to_host<float>(stream, out, rows * hidden);
    if (is_int8) {
        r.quants = to_host<int8_t>(stream, h_quants, used * width);
        r.h_scales = to_host<float>(stream, h_scales, used * width / 32);
    }
    return r;
}

// As the CPU rounds a group; the values in its place.
void round_groups(std::vector<float> &values) {
    for (size_t first = 0; first < values.size(); first += 32) {
        float largest = 0.0f;
        for (size_t i = 0; i < 32; i++) largest = std::max(largest, std::fabs(values[first + i]));
        const bool is_zero = largest < 0x1p-120f;
        const float scale = is_zero ? 0.0f : largest / 127.0f,
                    inverse = is_zero ? 0.0f : 127.0f / largest;
        for (size_t i = 0; i < 32; i++)
            values[first + i] = std::nearbyint(values[first + i] * inverse) * scale;
    }
}

// sum and sum of magnitudes of a row times x, in double
struct Dot {
    double sum = 0.0, size = 0.0;
};
Dot dot(const float *weights, const float *x, int64_t count) {
    Dot out;
    for (int64_t i = 0; i < count; i++) {
        out.sum += double(weights[i]) * x[i];
        out.size += std::fabs(double(weights[i]) * x[i]);
    }
    return out;
}

struct Experts {
    std::vector<std::unique_ptr<Weights>> owned;
    std::vector<cpu::Matrix> gate, up, down;
    std::vector<std::vector<float>> gate_values, up_values, down_values;

    Experts(uint32_t up_type, uint32_t down_type, int experts, int64_t hidden, int64_t width,
            uint64_t seed) {
        const auto add = [&](std::vector<cpu::Matrix> &matrices,
                             std::vector<std::vector<float>> &values, uint32_t type, int64_t rows,
                             int64_t cols) {
            owned.push_back(std::make_unique<Weights>(type, rows, cols, seed++));
            matrices.push_back(owned.back()->matrix), values.push_back(owned.back()->decoded());
        };
        for (int e = 0; e < experts; e++)
            add(gate, gate_values, up_type, width, hidden),
                add(up, up_values, up_type, width, hidden),
                add(down, down_values, down_type, hidden, width);
    }
};

// Expert e has counts[e] lines, of the first rows.
Routes routes_of(int rows, const std::vector<int> &counts, uint64_t seed) {
    Routes routes{rows, int32_t(counts.size()), {}, {}};
    Random random(seed);
    for (int row = 0; row < rows; row++)
        for (size_t e = 0; e < counts.size(); e++) {
            // slots are not in the order of experts
            const size_t expert = (e + size_t(row)) % counts.size();
            routes.ids.push_back(row < counts[expert] ? int32_t(expert) : -1);
            routes.weights.push_back(0.1f + 0.2f * std::fabs(random.symmetric()));
        }
    return routes;
}
std::vector<float> random_values(size_t count, float size, uint64_t seed) {
    Random random(seed);
    std::vector<float> values(count);
    for (float &value : values) value = size * random.symmetric();
    return values;
}

// Each stage against float64 from what the stage before left.
void expect_float64(const Experts &experts, const Results &r, std::vector<float> x,
                    const std::vector<float> &shared, const Routes &routes, int64_t hidden,
                    int64_t width, float limit, bool is_int8) {
    if (is_int8) round_groups(x);
    std::vector<float> h = r.hidden;
    int wrong = 0;
    for (size_t e = 0; e < experts.gate.size(); e++)
        for (int line = r.begin[e]; line < r.begin[e + 1]; line++)
            for (int64_t c = 0; c < width; c++) {
                const float *row = x.data() + r.row_of[size_t(line)] * hidden;
                const Dot g = dot(experts.gate_values[e].data() + c * hidden, row, hidden),
                          u = dot(experts.up_values[e].data() + c * hidden, row, hidden);
                double gate = g.sum, up = u.sum;
                if (limit > 0.0f)
                    gate = std::min<double>(gate, limit),
                    up = std::clamp<double>(up, -limit, limit);
                const double weight = r.weight_of[size_t(line)],
                             silu = gate / (1.0 + std::exp(-gate)),
                             error = 3e-7 * (g.size * 1.1 * (std::fabs(up) + u.size * 3e-7) +
                                             u.size * std::fabs(silu) + std::fabs(silu * up)),
                             got = h[size_t(line * width + c)];
                if (!(std::fabs(got - silu * up * weight) <= error * weight + 1e-37)) wrong++;
            }
    CHECK_CLOSE(wrong, 0, 0);
    if (is_int8) {
        round_groups(h);
        for (size_t i = 0; i < h.size(); i++)
            if (h[i] != float(r.quants[i]) * r.h_scales[i / 32]) wrong++;
        CHECK_CLOSE(wrong, 0, 0);
    }
    for (size_t e = 0; e < experts.gate.size(); e++)
        for (int line = r.begin[e]; line < r.begin[e + 1]; line++)
            for (int64_t c = 0; c < hidden; c++) {
                const Dot d =
                    dot(experts.down_values[e].data() + c * width, h.data() + line * width, width);
                const double got = r.partials[size_t(line * hidden + c)];
                if (!(std::fabs(got - d.sum) <= 4e-7 * d.size + 1e-37)) wrong++;
            }
    CHECK_CLOSE(wrong, 0, 0);
    for (size_t i = 0; i < r.out.size(); i++) {
        float sum = shared[i];
        for (int slot = 0; slot < routes.per_token; slot++) {
            const int line =
                r.line_of[i / size_t(hidden) * size_t(routes.per_token) + size_t(slot)];
            if (line >= 0) sum += r.partials[size_t(line * hidden) + i % size_t(hidden)];
        }
        if (!(r.out[i] == sum)) wrong++;
    }
    CHECK_CLOSE(wrong, 0, 0);
}

// The rows of routes and activations from `first` on.
struct Part {
    Routes routes;
    std::vector<float> x, shared;
};
Part part_of(const Routes &routes, const std::vector<float> &x, const std::vector<float> &shared,
             int first, int count, int64_t hidden) {
    const auto cut = [&](const auto &values, int64_t size) {
        return std::decay_t<decltype(values)>(values.begin() + first * size,
                                              values.begin() + (first + count) * size);
    };
    return {{count, routes.per_token, cut(routes.ids, routes.per_token),
             cut(routes.weights, routes.per_token)},
            cut(x, hidden),
            cut(shared, hidden)};
}

struct Case {
    uint32_t up, down;
    int64_t hidden, width;
};
// Columns past 512, tiles and chunks that are not full.
constexpr Case kCases[] = {{DS4_TYPE_IQ2_XXS, DS4_TYPE_Q2_K, 768, 256},
                           {DS4_TYPE_Q2_K, DS4_TYPE_IQ2_XXS, 256, 256},
                           {DS4_TYPE_Q4_K, DS4_TYPE_Q4_K, 256, 256},
                           {DS4_TYPE_MXFP4, DS4_TYPE_MXFP4, 672, 96},
                           {DS4_TYPE_FP4_PACKED, DS4_TYPE_FP4_PACKED, 96, 544},
                           {DS4_TYPE_Q8_0, DS4_TYPE_Q8_0, 160, 96}};

void expect_products(const Case &c, int rows, const std::vector<int> &counts, bool is_int8) {
    Stream stream;
    const Experts experts(c.up, c.down, int(counts.size()), c.hidden, c.width, 7);
    const Bank bank(stream, experts.gate, experts.up, experts.down);
    const Routes routes = routes_of(rows, counts, 3);
    const auto x = random_values(size_t(rows * c.hidden), 0.5f, 1),
               shared = random_values(size_t(rows * c.hidden), 3.0f, 2);
    const Results r = run(stream, bank, routes, x, shared, 10.0f, is_int8);
    expect_float64(experts, r, x, shared, routes, c.hidden, c.width, 10.0f, is_int8);
}

TEST("routed experts are the float64 products with 0 to 65 lines an expert, of every type") {
    for (const Case &c : kCases) {
        expect_products(c, 1, {1, 0, 1}, true);
        expect_products(c, 8, {8, 0, 7, 1, 2}, true);
        const bool is_new = c.up != DS4_TYPE_Q2_K && c.up != DS4_TYPE_FP4_PACKED;
        if (is_new) // the others' formats are in it as well
            expect_products(c, 65, {65, 0, 9, 1, 8, 7}, true);
        expect_products(c, 9, {9, 0, 1, 8}, false);
    }
    for (const uint32_t type : {DS4_TYPE_F32, DS4_TYPE_F16, DS4_TYPE_BF16, DS4_TYPE_F8_E4M3})
        expect_products({type, type, 160, 64}, 3, {3, 0, 1}, false);
}

TEST("routed experts of the model's sizes and longer ones are the float64 products") {
    expect_products({DS4_TYPE_MXFP4, DS4_TYPE_MXFP4, 4096, 32}, 9, {9}, true);
    // more chunks of 512 columns than warps that share them out
    expect_products({DS4_TYPE_MXFP4, DS4_TYPE_MXFP4, 4640, 32}, 1, {1, 1}, true);
    expect_products({DS4_TYPE_MXFP4, DS4_TYPE_MXFP4, 32, 2176}, 1, {1, 0, 1}, true);
    expect_products({DS4_TYPE_MXFP4, DS4_TYPE_MXFP4, 32, 2176}, 8, {8, 1}, true);
}

TEST("a row of routed experts has the same bits alone, in eights and in a long step") {
    Stream stream;
    for (const Case &c : kCases) {
        const Experts experts(c.up, c.down, 4, c.hidden, c.width, 17);
        const Bank bank(stream, experts.gate, experts.up, experts.down);
        const int rows = 9;
        const Routes routes = routes_of(rows, {9, 0, 3, 8}, 5);
        const auto x = random_values(size_t(rows * c.hidden), 2.0f, 3),
                   shared = random_values(size_t(rows * c.hidden), 1.0f, 4);
        if (c.up == DS4_TYPE_FP4_PACKED) continue; // packed as MXFP4 is
        for (const bool is_int8 : {true, false}) {
            // f32 has one form for all types
            if (!is_int8 && c.up != DS4_TYPE_Q8_0) continue;
            const std::vector<float> whole =
                run(stream, bank, routes, x, shared, 0.0f, is_int8).out;
            CHECK(run(stream, bank, routes, x, shared, 0.0f, is_int8).out == whole);
            const struct {
                int first, count;
            } parts[] = {{0, 1}, {8, 1}, {2, 2}, {0, 8}};
            for (const auto &at : parts) {
                const Part part = part_of(routes, x, shared, at.first, at.count, c.hidden);
                const std::vector<float> out =
                    run(stream, bank, part.routes, part.x, part.shared, 0.0f, is_int8).out;
                CHECK(std::equal(out.begin(), out.end(), whole.begin() + at.first * c.hidden));
            }
        }
    }
}

// The recorded layer of tests/vectors/unit/moe.safetensors.
struct RecordedLayer {
    test::VectorFile file{"unit/moe.safetensors"};
    cpu::LayerWeights weights;

    explicit RecordedLayer(bool hash) {
        weights.router = cpu::unit::matrix(file, "ffn.gate");
        if (hash) {
            const auto *table =
                reinterpret_cast<const int64_t *>(file["ffn.gate.tid2eid"].bytes.data());
            weights.router_table.assign(table, table + 64 * 3);
        } else {
            weights.router_bias = cpu::unit::floats(file["ffn.gate.bias"]);
        }
        for (int e = 0; e < 5; e++) {
            const std::string expert = "ffn.experts." + std::to_string(e);
            weights.gate.push_back(cpu::unit::matrix(file, expert + ".w1")),
                weights.up.push_back(cpu::unit::matrix(file, expert + ".w3")),
                weights.down.push_back(cpu::unit::matrix(file, expert + ".w2"));
        }
        weights.shared_gate = cpu::unit::matrix(file, "ffn.shared_experts.w1"),
        weights.shared_up = cpu::unit::matrix(file, "ffn.shared_experts.w3");
        weights.shared_down = cpu::unit::matrix(file, "ffn.shared_experts.w2");
    }
};

std::vector<float> product_of(cpu::unit::Bench &bench, const cpu::Matrix &weight,
                              const std::vector<float> &x, cpu::Precision precision) {
    const int64_t rows = int64_t(x.size()) / weight.cols;
    cpu::test::ActivationMemory memory(rows, weight.cols, precision);
    const cpu::Activations input = cpu::prepare_activations(
        bench.pool, bench.context.isa, x.data(), rows, weight.cols, precision, memory.data());
    std::vector<float> y(size_t(rows * weight.rows));
    const cpu::Product product{weight, &input, nullptr, rows, y.data(), weight.rows, nullptr};
    cpu::multiply(bench.pool, bench.context.isa, {&product, 1});
    return y;
}

TEST("a recorded layer of experts is the CPU's, routed by score and by token") {
    Stream stream;
    for (const bool hash : {false, true}) {
        const auto precision = hash ? cpu::Precision::int8 : cpu::Precision::f32;
        const RecordedLayer layer(hash);
        const cpu::LayerWeights &w = layer.weights;
        cpu::unit::Bench bench(Isa::generic, RowStorage::f32);
        bench.context.precision = precision;
        cpu::Moe moe(bench.context);
        Trace trace;
        std::vector<float> expected(11 * 256);
        const float *recorded_x = layer.file["x"].floats();
        const std::vector<float> x(recorded_x, recorded_x + 11 * 256);
        moe.run(0, w, layer.file["token_ids"].ints(), x.data(), 11, expected.data(), &trace);
        // the shared expert, where the sums start
        std::vector<float> gate = product_of(bench, w.shared_gate, x, precision);
        const std::vector<float> up = product_of(bench, w.shared_up, x, precision);
        cpu::activate(gate.data(), up.data(), int64_t(gate.size()), 10.0f, 1.0f);
        const auto shared = product_of(bench, w.shared_down, gate, precision);
        const auto &ids = trace.values().at("layer0.route_ids"),
                   &weights = trace.values().at("layer0.route_weights");
        const Routes routes{11, 3, std::vector<int32_t>(ids.begin(), ids.end()), weights};
        const Bank bank(stream, w.gate, w.up, w.down);
        const Results r =
            run(stream, bank, routes, x, shared, 10.0f, precision == cpu::Precision::int8);
        // with int8, a last bit of h can turn a code
        const double tolerance = precision == cpu::Precision::int8 ? 1e-4 : 6e-6;
        for (size_t i = 0; i < expected.size(); i++) CHECK_CLOSE(r.out[i], expected[i], tolerance);
        if (precision == cpu::Precision::f32)
            for (size_t i = 0; i < expected.size(); i++)
                CHECK_CLOSE(r.out[i], layer.file["score.out"].floats()[i], 6e-6);
    }
}

TEST("zeros, tiny and huge activations go through routed experts, and NaN stays in its row") {
    Stream stream;
    const Experts experts(DS4_TYPE_Q2_K, DS4_TYPE_MXFP4, 2, 256, 64, 27);
    const Bank bank(stream, experts.gate, experts.up, experts.down);
    for (const int rows : {5, 10})
        for (const bool is_int8 : {true, false}) {
            const Routes routes = routes_of(rows, {rows, rows}, 6);
            auto x = random_values(size_t(rows) * 256, 1.0f, 5);
            const float factors[] = {0.0f, 1e-30f, 1e4f, NAN, 1.0f};
            for (size_t i = 0; i < x.size(); i++) x[i] *= factors[i / 256 % 5];
            const std::vector<float> shared(x.size(), 0.25f);
            const Results r = run(stream, bank, routes, x, shared, 10.0f, is_int8);
            for (size_t i = 0; i < x.size(); i++) {
                const size_t row = i / 256 % 5;
                CHECK(std::isfinite(r.out[i]) == (row != 3));
                if (row == 0) CHECK(r.out[i] == 0.25f);
            }
        }
}

TEST("an expert may be chosen twice by a row, and rows without routes keep the shared output") {
    Stream stream;
    const Experts experts(DS4_TYPE_MXFP4, DS4_TYPE_MXFP4, 3, 64, 96, 37);
    const Bank bank(stream, experts.gate, experts.up, experts.down);
    Routes routes{8, 4, std::vector<int32_t>(32, 1), std::vector<float>(32, 0.5f)};
    for (int slot = 0; slot < 4; slot++) routes.ids[size_t(12 + slot)] = slot == 2 ? 3 : -1;
    const auto x = random_values(8 * 64, 1.0f, 8), shared = random_values(8 * 64, 1.0f, 9);
    const Results r = run(stream, bank, routes, x, shared, 10.0f, true);
    CHECK(r.begin == (std::vector<int32_t>{0, 0, 28, 28}));
    expect_float64(experts, r, x, shared, routes, 64, 96, 10.0f, true);
    CHECK(std::equal(r.out.begin() + 192, r.out.begin() + 256, shared.begin() + 192));
}

TEST("a step without rows and unlike forms of routed experts") {
    Stream stream;
    const Experts experts(DS4_TYPE_Q8_0, DS4_TYPE_Q8_0, 2, 64, 64, 1);
    const Bank bank(stream, experts.gate, experts.up, experts.down);
    CHECK(run(stream, bank, {0, 2, {}, {}}, {}, {}, 1.0f, true).out.empty());
    const auto refused = [&](const kernels::ExpertBank &changed) {
        try {
            kernels::RoutedParams params{};
            params.bank = changed;
            params.lines.per_token = 2;
            params.x.cols = 64;
            kernels::routed_experts(params, stream);
        } catch (const std::exception &) {
            return true;
        }
        return false;
    };
    kernels::ExpertBank other = bank.bank;
    CHECK(!refused(other));
    other.up_type = DS4_TYPE_Q4_K;
    CHECK(refused(other));
    other = bank.bank, other.width = 80;
    CHECK(refused(other));
}

TEST("activate is the CPU's, whatever the limit") {
    Stream stream;
    for (const float limit : {0.0f, 2.0f})
        for (const int rows : {0, 1, 3}) {
            const int width = 331;
            auto gate = random_values(size_t(rows * width), 8.0f, 11);
            const auto up = random_values(gate.size(), 8.0f, 12);
            const Memory gates = on_device(stream, gate), ups = on_device(stream, up);
            kernels::activate({gates.as<float>(), ups.as<float>(), rows, width, limit}, stream);
            cpu::activate(gate.data(), up.data(), int64_t(gate.size()), limit, 1.0f);
            const auto values = to_host<float>(stream, gates, gate.size());
            for (size_t i = 0; i < gate.size(); i++)
                CHECK_CLOSE(values[i], gate[i], 4e-7 * std::fabs(gate[i]));
        }
}

} // namespace
