#include "backend/cpu/blocks/hyper_connections.h"

#include <cmath>
#include <numeric>

#include "backend/cpu/blocks/unit_model.h"
#include "base/test.h"
#include "ds4.h"
#include "machine/instruction_sets.h"

using namespace ds4;
using namespace ds4::cpu;
using ds4::test::VectorFile;

namespace {

MixWeights recorded_mix(const VectorFile &file, const std::string &prefix) {
    const test::Recorded &fn = file[prefix + "_fn"];
    return {{DS4_TYPE_F32, fn.rows(), fn.cols(), fn.bytes.data(), nullptr},
            unit::floats(file[prefix + "_base"]),
            unit::floats(file[prefix + "_scale"])};
}

void check_close(const std::vector<float> &values, const float *expected, double tolerance) {
    for (size_t i = 0; i < values.size(); i++) CHECK_CLOSE(values[i], expected[i], tolerance);
}

} // namespace

TEST("hyper-connections collapse, mix and expand as recorded") {
    const VectorFile file("unit/hyper.safetensors");
    for (const Isa isa : unit::every_isa()) {
        unit::Bench bench(isa, RowStorage::f32);
        HyperConnections mixing(bench.context);
        const MixWeights mix = recorded_mix(file, "hc_attn");
        std::vector<float> streams(file["streams"].floats(),
                                   file["streams"].floats() + 6 * 4 * 256),
            x(6 * 256), post(6 * 4), comb(6 * 16);
        mixing.collapse(mix, nullptr, streams.data(), 6, {x.data(), post.data(), comb.data()});
        check_close(x, file["collapsed"].floats(), 2e-5);
        check_close(post, file["post"].floats(), 1e-5);
        check_close(comb, file["comb"].floats(), 1e-5);
        bench.context.each_block(
            6, bench.dims.hidden, [&](int64_t t, int64_t begin, int64_t count) {
                mixing.expand_block(file["sublayer_out"].floats(), post.data(), comb.data(), t,
                                    begin, count, streams.data());
            });
        check_close(streams, file["new_streams"].floats(), 2e-5);
    }
}

TEST("a prompt's tokens are divided over threads in one region, and a token gets the same bits "
     "alone") {
    constexpr int64_t kTokens = 45; // enough for two threads, and a last block that is not full
    const VectorFile file("unit/hyper.safetensors");
    for (const Isa isa : unit::every_isa()) {
        unit::Bench bench(isa, RowStorage::f32);
        HyperConnections mixing(bench.context);
        const MixWeights mix = recorded_mix(file, "hc_attn");
        const std::vector<float> norm(256, 0.75f);
        std::vector<float> streams, x(kTokens * 256), post(kTokens * 4), comb(kTokens * 16);
        for (int64_t i = 0; i < kTokens * 1024; i++)
            streams.push_back(file["streams"].floats()[i % (6 * 1024)] + float(i % 7));
        const uint64_t before = bench.pool.regions();
        mixing.collapse(mix, norm.data(), streams.data(), kTokens,
                        {x.data(), post.data(), comb.data()});
        CHECK(bench.pool.regions() == before + 1);
        for (int64_t t = 0; t < kTokens; t++) {
            std::vector<float> one(256), one_post(4), one_comb(16);
            mixing.collapse(mix, norm.data(), streams.data() + t * 1024, 1,
                            {one.data(), one_post.data(), one_comb.data()});
            CHECK(std::equal(one.begin(), one.end(), x.begin() + t * 256));
            CHECK(std::equal(one_post.begin(), one_post.end(), post.begin() + t * 4));
            CHECK(std::equal(one_comb.begin(), one_comb.end(), comb.begin() + t * 16));
        }
    }
}

TEST("the final collapse takes the rows it is asked for") {
    const VectorFile file("unit/hyper.safetensors");
    unit::Bench bench(machine::best_isa(), RowStorage::f32);
    HyperConnections mixing(bench.context);
    const int32_t rows[] = {5, 0, 3};
    std::vector<float> x(3 * 256);
    mixing.collapse_head(recorded_mix(file, "hc_head"), file["streams"].floats(), rows, 3,
                         x.data());
    for (int i = 0; i < 3; i++)
        for (int d = 0; d < 256; d++)
            CHECK_CLOSE(x[size_t(i * 256 + d)], file["head_collapsed"].floats()[rows[i] * 256 + d],
                        3.5e-6);
}

TEST("mixing weights stay in their ranges, and columns of comb sum to one for any input") {
    const Shape shape = unit::shape();
    uint32_t state = 7;
    const auto next = [&] {
        state = state * 1664525u + 1013904223u;
        return float(int32_t(state)) * 0x1p-31f;
    };
    for (int round = 0; round < 200; round++) {
        const float spread = round < 100 ? 1.0f : 30.0f;
        float mix[24], base[24], scale[3] = {1.0f, 1.0f, 1.0f}, pre[4], post[4], comb[16];
        for (float &value : mix) value = spread * next();
        for (float &value : base) value = next();
        hyper_connection_weights(shape, mix, base, scale, pre, post, comb);
        for (int i = 0; i < 4; i++) {
            CHECK(pre[i] >= shape.hc_epsilon && pre[i] <= 1.0f + 2 * shape.hc_epsilon);
            CHECK(post[i] >= 0.0f && post[i] <= 2.0f);
            CHECK_CLOSE(comb[i] + comb[4 + i] + comb[8 + i] + comb[12 + i], 1.0, 3e-6);
        }
        for (const float value : comb) CHECK(value >= 0.0f);
    }
}

TEST("without learned mixing every stream gets the mean and the output once") {
    const Shape shape = unit::shape();
    const float zeros[24] = {}, scale[3] = {1.0f, 1.0f, 1.0f};
    float pre[4], post[4], comb[16];
    hyper_connection_weights(shape, zeros, zeros, scale, pre, post, comb);
    for (int i = 0; i < 4; i++) {
        CHECK_CLOSE(pre[i], 0.5 + shape.hc_epsilon, 3.9e-8);
        CHECK_CLOSE(post[i], 1.0, 1e-7);
    }
    for (const float value : comb) CHECK_CLOSE(value, 0.25, 7e-7);
}
