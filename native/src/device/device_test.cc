#include "device/device.h"

#include <cstdint>
#include <vector>

#include "base/test.h"
#include "kernels/warp_probe/warp_probe.h"

namespace {

using namespace ds4;

std::vector<float> run_probe(kernels::WarpProbe what, int threads, int blocks) {
    device::Stream stream;
    const size_t count = size_t(threads) * size_t(blocks);
    device::Memory out(count * 4);
    kernels::warp_probe({what, out.as<float>()}, blocks, threads, stream);
    std::vector<float> values(count);
    stream.to_host(values.data(), out.data(), count * 4);
    stream.wait();
    return values;
}

TEST("sums over a warp and over a block reach every thread") {
    for (const int threads : {32, 96, 256}) {
        const std::vector<float> sums = run_probe(kernels::WarpProbe::block_sum, threads, 3);
        const double expected = threads * (threads - 1) / 2;
        for (const float sum : sums) CHECK_CLOSE(sum, expected, 0);
    }
}

TEST("a tile product of bytes, bf16 and f16 is the matrix product") {
    for (const auto what :
         {kernels::WarpProbe::mma_s8, kernels::WarpProbe::mma_bf16, kernels::WarpProbe::mma_f16}) {
        const int depth = what == kernels::WarpProbe::mma_s8 ? 32 : 16;
        const std::vector<float> product = run_probe(what, 128, 1); // [16, 8] of the first warp
        for (int row = 0; row < 16; row++)
            for (int column = 0; column < 8; column++) {
                double expected = 0;
                for (int k = 0; k < depth; k++)
                    expected += double(kernels::probe_a(row, k)) * kernels::probe_b(k, column);
                CHECK_CLOSE(product[size_t(row * 8 + column)], expected, 0);
            }
    }
}

TEST("tiles come from shared memory as they are and transposed") {
    const std::vector<float> plain = run_probe(kernels::WarpProbe::tiles, 32, 1),
                             turned = run_probe(kernels::WarpProbe::tiles_transposed, 32, 1);
    for (int lane = 0; lane < 32; lane++) {
        CHECK_CLOSE(plain[size_t(lane)], lane / 4 * 8 + lane % 4 * 2 + 1, 0);
        CHECK_CLOSE(turned[size_t(lane)], (lane % 4 * 2 + 1) * 8 + lane / 4, 0);
    }
}

TEST("products of bf16 and of f16 pairs keep subnormal values") {
    const std::vector<float> bf16 = run_probe(kernels::WarpProbe::bf16_products, 32, 1),
                             f16 = run_probe(kernels::WarpProbe::f16_products, 32, 1);
    for (int i = 0; i < 32; i++) {
        const double value = (i < 16 ? 1 : -1) * double(i * 8);
        CHECK_CLOSE(bf16[size_t(i)], value * 0x1p-13, 0);
        CHECK_CLOSE(f16[size_t(i)], value * 0x1p-16, 0);
    }
}

TEST("signs of bytes, and bytes by a selector whose fourth bits are dropped") {
    const std::vector<float> bytes = run_probe(kernels::WarpProbe::bytes, 32, 1);
    const double expected[] = {0, 255, 0, 255, 0x82, 7, 5, 0x80};
    for (size_t i = 0; i < bytes.size(); i++) CHECK_CLOSE(bytes[i], expected[i % 8], 0);
}

TEST("copies, fills and a missing GPU") {
    device::Stream stream;
    const std::vector<uint8_t> in = {1, 2, 3, 4, 5};
    device::Memory first(5), second(5);
    stream.to_device(first.data(), in.data(), 5);
    stream.on_device(second.data(), first.data(), 5);
    stream.fill(second.data() + 1, 9, 2);
    std::vector<uint8_t> out(5);
    stream.to_host(out.data(), second.data(), 5);
    stream.wait();
    CHECK((out == std::vector<uint8_t>{1, 9, 9, 4, 5}));
    bool refused = false;
    try {
        device::facts(device::count());
    } catch (const std::exception &) {
        refused = true;
    }
    CHECK(refused);
}

} // namespace
