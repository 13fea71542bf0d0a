#include <cstring>
#include <vector>

#include "backend/cpu/kernels/weights_for_tests.h"
#include "base/test.h"
#include "ds4.h"
#include "kernels/formats/format.h"
#include "kernels/formats/format_probe.h"

namespace {

using namespace ds4;
using cpu::test::Random;
using cpu::test::Weights;

constexpr uint32_t kTypes[] = {DS4_TYPE_IQ2_XXS, DS4_TYPE_Q2_K, DS4_TYPE_Q4_K, DS4_TYPE_MXFP4,
                               DS4_TYPE_FP4_PACKED};

std::vector<float> decode_on_device(const cpu::Matrix &m, kernels::DecodedBy by) {
    const kernels::formats::HostFormat &format = *kernels::formats::host_format(m.type);
    const int64_t tiles = kernels::formats::tiles_of(m.cols),
                  strips = kernels::formats::strips_of(m.rows),
                  bytes =
                      kernels::formats::strip_bytes(format.tile_bytes, format.side_bytes, tiles);
    std::vector<uint8_t> packed(size_t(bytes * strips), 0xff);
    for (int64_t strip = 0; strip < strips; strip++)
        format.pack_strip({m.type, m.rows, m.cols, m.data, m.scales}, strip,
                          packed.data() + strip * bytes);
    device::Stream stream;
    device::Memory on_device(packed.size()), out(uint64_t(strips * 16 * tiles * 128) * 4);
    stream.to_device(on_device.data(), packed.data(), packed.size());
    kernels::format_probe(m.type, strips, {on_device.data(), tiles, by, out.as<float>()}, stream);
    std::vector<float> values(out.bytes() / 4);
    stream.to_host(values.data(), out.data(), out.bytes());
    stream.wait();
    return values;
}

void expect_same_values(const Weights &weights) {
    const cpu::Matrix &m = weights.matrix;
    const std::vector<float> expected = weights.decoded();
    const int64_t cols = kernels::formats::tiles_of(m.cols) * 128;
    for (const auto by : {kernels::DecodedBy::values, kernels::DecodedBy::codes,
                          kernels::DecodedBy::shared_codes}) {
        const std::vector<float> values = decode_on_device(m, by);
        int wrong = 0;
        for (int64_t i = 0; i < int64_t(values.size()); i++) {
            const int64_t row = i / cols, column = i % cols;
            const bool is_inside = row < m.rows && column < m.cols;
            const float want = is_inside ? expected[size_t(row * m.cols + column)] : 0.0f;
            // == takes -0 for 0, which the packed form does not keep
            if (!(values[size_t(i)] == want)) wrong++;
        }
        CHECK_CLOSE(wrong, 0, 0);
    }
}

TEST("packed tiles decode to the file's values, with rows and columns that fill no tile") {
    for (const uint32_t type : kTypes) {
        const bool has_large_blocks = type_traits(type)->block_elements == 256;
        expect_same_values(Weights(type, 16, 256, 1));
        expect_same_values(Weights(type, 37, has_large_blocks ? 768 : 416, 2));
        expect_same_values(Weights(type, 1, has_large_blocks ? 256 : 32, 3));
    }
}

TEST("packed tiles decode the smallest and the largest scales of every type") {
    for (const uint32_t type : kTypes) {
        Weights weights(type, 16, 512, 4);
        Random random(5);
        const uint16_t halves[] = {0x0000, 0x0001, 0x8001, 0x03ff, 0x0400, 0x7bff, 0xfbff};
        const auto put_half = [&](uint64_t stride, uint64_t offset) {
            for (uint64_t at = offset; at + 2 <= weights.codes.size(); at += stride)
                std::memcpy(weights.codes.data() + at, &halves[random.below(7)], 2);
        };
        const uint8_t exponents[] = {0, 1, 2, 3, 253, 254};
        switch (type) {
        case DS4_TYPE_IQ2_XXS: put_half(66, 0); break;
        case DS4_TYPE_Q2_K: put_half(84, 80), put_half(84, 82); break;
        case DS4_TYPE_Q4_K: put_half(144, 0), put_half(144, 2); break;
        case DS4_TYPE_MXFP4:
            for (uint64_t at = 0; at < weights.codes.size(); at += 17)
                weights.codes.data()[at] = exponents[random.below(6)];
            break;
        default:
            for (uint64_t at = 0; at < weights.scales.size(); at++)
                weights.scales.data()[at] = exponents[random.below(6)];
        }
        expect_same_values(weights);
    }
}

} // namespace
