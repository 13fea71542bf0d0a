#include "kernels/activations/activations.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "backend/cpu/kernels/matmul.h"
#include "backend/cpu/kernels/weights_for_tests.h"
#include "base/contains_for_tests.h"
#include "base/test.h"
#include "format/scalar.h"

namespace {

using namespace ds4;

struct Rounded {
    std::vector<int8_t> quants;
    std::vector<float> scales;
    std::vector<uint16_t> halves;
};

Rounded round_on_device(const std::vector<float> &values, int rows, int cols) {
    device::Stream stream;
    const size_t count = values.size();
    device::Memory in(count * 4), quants(count), scales(count / 32 * 4), halves(count * 2);
    stream.to_device(in.data(), values.data(), count * 4);
    kernels::quantise({in.as<float>(), rows, cols, quants.as<int8_t>(), scales.as<float>(),
                       halves.as<uint16_t>()},
                      stream);
    Rounded out{std::vector<int8_t>(count), std::vector<float>(count / 32),
                std::vector<uint16_t>(count)};
    stream.to_host(out.quants.data(), quants.data(), count);
    stream.to_host(out.scales.data(), scales.data(), count / 32 * 4);
    stream.to_host(out.halves.data(), halves.data(), count * 2);
    stream.wait();
    return out;
}

// Rows of every size of number; the first row has groups with NaN, infinity and near 2^-120.
std::vector<float> hard_values(int rows, int cols) {
    cpu::test::Random random(uint64_t(rows * 977 + cols));
    std::vector<float> values(size_t(rows) * size_t(cols));
    for (size_t i = 0; i < values.size(); i++)
        values[i] = random.symmetric() * std::ldexp(1.0f, int(random.below(40)) - 30);
    if (cols < 160) return values;
    values[3] = std::numeric_limits<float>::quiet_NaN();
    values[40] = -std::numeric_limits<float>::infinity();
    for (size_t i = 64; i < 96; i++) values[i] = 0x1p-121f;
    for (size_t i = 96; i < 128; i++) values[i] = i == 97 ? -0x1p-120f : 0.0f;
    for (size_t i = 128; i < 160; i++) values[i] = i % 2 == 0 ? 3e38f : -0x1p-130f;
    return values;
}

TEST("int8 activations have the codes and scales of the CPU") {
    ThreadPool pool(1);
    for (const int rows : {1, 3, 17})
        for (const int cols : {32, 160, 1056, 4096}) {
            if (rows == 17 && cols > 1056) continue;
            const std::vector<float> values = hard_values(rows, cols);
            cpu::test::ActivationMemory memory(rows, cols, cpu::Precision::int8);
            const cpu::Activations expected = cpu::prepare_activations(
                pool, Isa::generic, values.data(), rows, cols, cpu::Precision::int8, memory.data());
            const Rounded got = round_on_device(values, rows, cols);
            const int64_t groups = (cols + 127) / 128;
            bool same = true;
            for (int64_t row = 0; row < rows; row++)
                for (int64_t i = 0; i < cols; i++) {
                    const cpu::ActivationGroup &group = expected.groups[row * groups + i / 128];
                    const int64_t offset = i % 32,
                                  place = i % 128 / 32 * 16 + (offset < 16 ? offset : offset + 48);
                    const float scale = group.scales[i % 128 / 32],
                                ours = got.scales[size_t(row * cols + i) / 32];
                    same = same && got.quants[size_t(row * cols + i)] == group.quants[place];
                    same = same && (f32_bits(scale) == f32_bits(ours) ||
                                    (std::isnan(scale) && std::isnan(ours)));
                }
            CHECK(same);
        }
}

TEST("bf16 activations are rounded to even, and tiny ones are zero") {
    const std::vector<float> values = hard_values(2, 160);
    const Rounded got = round_on_device(values, 2, 160);
    for (size_t i = 0; i < values.size(); i++) {
        const uint16_t expected =
            std::fabs(values[i]) < 0x1p-100f ? uint16_t(0) : f32_to_bf16(values[i]);
        if (std::isnan(values[i]))
            CHECK(std::isnan(bf16_to_f32(got.halves[i])));
        else
            CHECK(got.halves[i] == expected);
    }
}

TEST("no rows, and columns that are no multiple of 32") {
    device::Stream stream;
    device::Memory memory(256);
    kernels::QuantiseParams params{memory.as<float>(), 0,      64, memory.as<int8_t>(),
                                   memory.as<float>(), nullptr};
    kernels::quantise(params, stream);
    params.rows = 1, params.cols = 40;
    std::string message;
    try {
        kernels::quantise(params, stream);
    } catch (const std::exception &error) {
        message = error.what();
    }
    CHECK(test::contains(message, "40 columns"));
}

} // namespace
