// Hyper-connections against recorded ones.
#include <cmath>
#include <string>
#include <vector>

#include "backend/cpu/blocks/unit_model.h"
#include "base/test.h"
#include "kernels/hyper_connections/hyper_connections.h"

namespace {

using namespace ds4;
using ds4::test::VectorFile;

constexpr int kRows = 6, kStreams = 4, kHidden = 256, kTurns = 20;
constexpr float kEpsilon = 1e-6f; // of both kinds

struct RecordedMix {
    device::Stream stream;
    const VectorFile file{"unit/hyper.safetensors"};
    const device::Memory state = upload("streams"),
                         ones = upload(std::vector<float>(kHidden, 1.0f)),
                         scratch{uint64_t(kernels::collapse_scratch(kRows, kStreams, kHidden)) * 4};

    device::Memory upload(const std::vector<float> &values) {
        device::Memory memory(values.size() * 4);
        stream.to_device(memory.data(), values.data(), memory.bytes());
        return memory;
    }
    device::Memory upload(const std::string &name) { return upload(cpu::unit::floats(file[name])); }

    std::vector<float> download(const device::Memory &memory) {
        std::vector<float> values(memory.bytes() / 4);
        stream.to_host(values.data(), memory.data(), memory.bytes());
        stream.wait();
        return values;
    }
    void check(const device::Memory &memory, const char *name, double tolerance) {
        const std::vector<float> values = download(memory),
                                 expected = cpu::unit::floats(file[name]);
        CHECK(values.size() == expected.size());
        for (size_t i = 0; i < values.size(); i++) CHECK_CLOSE(values[i], expected[i], tolerance);
    }
    // x [rows, hidden] with a norm of ones, against the sums before it.
    void check_normed(const device::Memory &memory, const char *name) {
        const std::vector<float> values = download(memory),
                                 expected = cpu::unit::floats(file[name]);
        for (size_t first = 0; first < values.size(); first += kHidden) {
            double squares = 0;
            for (size_t d = 0; d < kHidden; d++)
                squares += double(expected[first + d]) * expected[first + d];
            const double rms = 1.0 / std::sqrt(squares / kHidden + kEpsilon);
            for (size_t d = 0; d < kHidden; d++)
                CHECK_CLOSE(values[first + d], expected[first + d] * rms, 2e-5);
        }
    }
};

TEST("streams are collapsed, weighed and expanded as recorded") {
    RecordedMix mix;
    const device::Memory fn = mix.upload("hc_attn_fn"), base = mix.upload("hc_attn_base"),
                         scale = mix.upload("hc_attn_scale"), y = mix.upload("sublayer_out");
    const device::Memory x(kRows * kHidden * 4), post(kRows * kStreams * 4),
        comb(kRows * kStreams * kStreams * 4);
    kernels::collapse_streams({mix.state.as<float>(), fn.as<float>(), base.as<float>(),
                               scale.as<float>(), mix.ones.as<float>(), kRows, kStreams, kHidden,
                               kTurns, kEpsilon, kEpsilon, mix.scratch.as<float>(), x.as<float>(),
                               post.as<float>(), comb.as<float>()},
                              mix.stream);
    mix.check_normed(x, "collapsed");
    mix.check(post, "post", 1e-5);
    mix.check(comb, "comb", 1e-5);
    kernels::expand_streams({y.as<float>(), post.as<float>(), comb.as<float>(), kRows, kStreams,
                             kHidden, mix.state.as<float>()},
                            mix.stream);
    mix.check(mix.state, "new_streams", 2e-5);
}

TEST("streams are collapsed for the head as recorded") {
    RecordedMix mix;
    const device::Memory fn = mix.upload("hc_head_fn"), base = mix.upload("hc_head_base"),
                         scale = mix.upload("hc_head_scale");
    const std::vector<int32_t> all = {0, 1, 2, 3, 4, 5};
    const device::Memory rows(kRows * 4), collapsed(kRows * kHidden * 4), x(collapsed.bytes());
    mix.stream.to_device(rows.data(), all.data(), rows.bytes());
    kernels::collapse_head({mix.state.as<float>(), rows.as<int32_t>(), fn.as<float>(),
                            base.as<float>(), scale.as<float>(), mix.ones.as<float>(), kRows,
                            kStreams, kHidden, kEpsilon, kEpsilon, mix.scratch.as<float>(),
                            collapsed.as<float>(), x.as<float>()},
                           mix.stream);
    mix.check(collapsed, "head_collapsed", 2e-5);
    mix.check_normed(x, "head_collapsed");
}

} // namespace
