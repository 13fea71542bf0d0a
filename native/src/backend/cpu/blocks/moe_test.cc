#include "backend/cpu/blocks/moe.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <utility>

#include "backend/cpu/blocks/router.h"
#include "backend/cpu/blocks/unit_model.h"
#include "base/load_progress.h"
#include "base/test.h"
#include "experts/expert_library.h"
#include "experts/expert_options.h"
#include "experts/packed_experts.h"

using namespace ds4;
using namespace ds4::cpu;
using ds4::test::VectorFile;

namespace {

LayerWeights recorded_layer(const VectorFile &file, bool hash) {
    LayerWeights w;
    w.router = unit::matrix(file, "ffn.gate");
    if (hash) {
        const auto *table =
            reinterpret_cast<const int64_t *>(file["ffn.gate.tid2eid"].bytes.data());
        w.router_table.assign(table, table + 64 * 3);
    } else {
        w.router_bias = unit::floats(file["ffn.gate.bias"]);
    }
    for (int e = 0; e < 5; e++) {
        const std::string expert = "ffn.experts." + std::to_string(e);
        w.gate.push_back(unit::matrix(file, expert + ".w1")),
            w.up.push_back(unit::matrix(file, expert + ".w3")),
            w.down.push_back(unit::matrix(file, expert + ".w2"));
    }
    w.shared_gate = unit::matrix(file, "ffn.shared_experts.w1"),
    w.shared_up = unit::matrix(file, "ffn.shared_experts.w3");
    w.shared_down = unit::matrix(file, "ffn.shared_experts.w2");
    return w;
}

// The routed experts of a layer as the expert library takes them.
LayerTensors routed_tensors(const LayerWeights &w) {
    LayerTensors out;
    const auto views = [](const std::vector<Matrix> &matrices) {
        std::vector<TensorView> all;
        for (const Matrix &m : matrices) all.push_back({m.type, m.rows, m.cols, m.data, m.scales});
        return all;
    };
    out.gate = views(w.gate), out.up = views(w.up), out.down = views(w.down);
    return out;
}

} // namespace

TEST(
    "a layer of experts equals the recorded one, routed by score and by token, mapped and packed") {
    const VectorFile file("unit/moe.safetensors");
    for (const Isa isa : unit::every_isa())
        for (const auto &[hash, packed] :
             {std::pair{false, false}, {true, false}, {false, true}, {true, true}}) {
            unit::Bench bench(isa, RowStorage::f32);
            const std::string prefix = hash ? "hash." : "score.";
            const LayerWeights weights = recorded_layer(file, hash);
            const std::vector<LayerTensors> tensors{routed_tensors(weights)};
            const ExpertOptions options;
            std::unique_ptr<PackedExperts> library;
            if (packed) {
                library = std::make_unique<PackedExperts>(
                    std::make_unique<ExpertLibrary>(""),
                    PackedExperts::Setup{bench.dims, tensors, nullptr, options, isa_name(isa),
                                         "f32", 1},
                    bench.pool);
                library->load(LoadProgress());
                bench.context.packed = library.get();
            }
            Moe moe(bench.context);
            Trace trace;
            std::vector<float> out(11 * 256, NAN);
            moe.run(0, weights, file["token_ids"].ints(), file["x"].floats(), 11, out.data(),
                    &trace);
            const auto &ids = trace.values().at("layer0.route_ids"),
                       &chosen = trace.values().at("layer0.route_weights");
            for (int t = 0; t < 11; t++)
                for (int i = 0; i < 3; i++) { // recorded in their own order: compare by id
                    const auto *begin = file[prefix + "ids"].ints() + t * 3,
                               *at = std::find(begin, begin + 3, int32_t(ids[size_t(t * 3 + i)]));
                    CHECK(at != begin + 3);
                    CHECK_CLOSE(chosen[size_t(t * 3 + i)],
                                file[prefix + "weights"].floats()[t * 3 + (at - begin)], 5.2e-7);
                }
            for (size_t i = 0; i < out.size(); i++)
                CHECK_CLOSE(out[i], file[prefix + "out"].floats()[i], 5.9e-6);
            // one token at a time gives the same bits
            for (int t = 0; t < 11; t++) {
                std::vector<float> one(256);
                const uint64_t before = bench.pool.regions();
                moe.run(0, weights, file["token_ids"].ints() + t, file["x"].floats() + t * 256, 1,
                        one.data(), nullptr);
                CHECK(std::equal(one.begin(), one.end(), out.begin() + t * 256));
                CHECK(bench.pool.regions() - before <= (packed ? 2u : 3u));
            }
        }
}

TEST("a router's weights sum to the scale, ids are distinct, and a constant bias changes nothing") {
    const Shape shape = unit::shape();
    uint32_t state = 99;
    const auto next = [&] {
        state = state * 1664525u + 1013904223u;
        return float(int32_t(state)) * 0x1p-29f;
    };
    for (int round = 0; round < 500; round++) {
        LayerWeights w;
        float logits[5];
        for (float &value : logits) value = next();
        for (int e = 0; e < 5; e++) w.router_bias.push_back(next() * 0.1f);
        int32_t ids[3], shifted_ids[3];
        float weights[3], shifted_weights[3];
        route_token(shape, w, logits, 0, ids, weights);
        CHECK_CLOSE(weights[0] + weights[1] + weights[2], shape.routed_scale,
                    4.6e-7 * shape.routed_scale);
        CHECK((std::set<int32_t>{ids[0], ids[1], ids[2]}.size() == 3));
        for (const float weight : weights) CHECK(weight > 0.0f);
        for (float &bias : w.router_bias) bias += 0.25f;
        route_token(shape, w, logits, 0, shifted_ids, shifted_weights);
        CHECK(std::equal(ids, ids + 3, shifted_ids) &&
              std::equal(weights, weights + 3, shifted_weights));
    }
}

TEST("equal scores go to the smaller expert, and extreme logits stay finite") {
    const Shape shape = unit::shape();
    LayerWeights w;
    w.router_bias.assign(5, 0.0f);
    const float equal[5] = {1, 1, 1, 1, 1}, extreme[5] = {-200, 300, -90, 88, 0};
    int32_t ids[3];
    float weights[3];
    route_token(shape, w, equal, 0, ids, weights);
    CHECK(ids[0] == 0 && ids[1] == 1 && ids[2] == 2);
    route_token(shape, w, extreme, 0, ids, weights);
    CHECK(ids[0] == 1 && ids[1] == 3 && ids[2] == 4);
    for (const float weight : weights) CHECK(std::isfinite(weight));
}

TEST("the clamp holds the gate from above only, and the other factor on both sides") {
    const auto result = [](float gate, float up, float limit) {
        activate(&gate, &up, 1, limit, 1.0f);
        return gate;
    };
    const auto silu = [](double g) { return g / (1.0 + std::exp(-g)); };
    CHECK_CLOSE(result(50.0f, 1.0f, 10.0f), silu(10.0), 1e-6);
    CHECK_CLOSE(result(1.0f, -50.0f, 10.0f), -10.0 * silu(1.0), 1e-6);
    CHECK_CLOSE(result(1.0f, 50.0f, 10.0f), 10.0 * silu(1.0), 1e-6);
    CHECK_CLOSE(result(-50.0f, 1.0f, 10.0f), silu(-50.0),
                2e-27); // not clamped to -10, whose silu is -4.5e-4
    CHECK_CLOSE(result(50.0f, 3.0f, 0.0f), 3.0 * silu(50.0), 2e-5);
}

TEST("the shared expert is clamped by its own limit, and the switch turns that one off") {
    const VectorFile file("unit/moe.safetensors");
    const LayerWeights weights = recorded_layer(file, false);
    std::vector<float> x(11 * 256);
    for (size_t i = 0; i < x.size(); i++) x[i] = 8.0f * file["x"].floats()[i]; // limits are met
    const auto run = [&](float routed, float shared, bool clamps) {
        unit::Bench bench(machine::best_isa(), RowStorage::f32);
        bench.dims.layer[0].swiglu_limit = routed;
        bench.dims.layer[0].shared_swiglu_limit = shared;
        bench.context.shared_clamp = clamps;
        Moe moe(bench.context);
        std::vector<float> out(x.size());
        moe.run(0, weights, file["token_ids"].ints(), x.data(), 11, out.data(), nullptr);
        return out;
    };
    const auto largest_difference = [](const std::vector<float> &a, const std::vector<float> &b) {
        float most = 0.0f;
        for (size_t i = 0; i < a.size(); i++) most = std::max(most, std::fabs(a[i] - b[i]));
        return most;
    };
    const std::vector<float> both = run(0.5f, 0.25f, true), routed = run(0.5f, 0.0f, true),
                             shared = run(0.0f, 0.25f, true), none = run(0.0f, 0.0f, true);
    CHECK(largest_difference(both, routed) > 0.01f && largest_difference(both, shared) > 0.01f);
    // The two parts are added, so each limit changes the sum by as much whatever the other one is.
    for (size_t i = 0; i < x.size(); i++)
        CHECK_CLOSE(both[i] - routed[i], shared[i] - none[i], 8.9e-5);
    CHECK(run(0.5f, 0.25f, false) == routed);
}
