#include "backend/cpu/kernels/strips.h"

#include <cmath>
#include <cstring>

#include "backend/cpu/kernels/weights_for_tests.h"
#include "base/test.h"
#include "ds4.h"
#include "format/scalar.h"
#include "machine/instruction_sets.h"

namespace ds4::cpu {
namespace {

using namespace ds4::cpu::test;

constexpr uint32_t kGuardBits = 0x7fabcdefu; // a NaN that no product makes

// Weights, the same packed into memory that ends at an unmapped page, and activations.
struct StripProduct {
    StripProduct(int64_t rows, int64_t cols, int64_t tokens)
        : weights(DS4_TYPE_Q8_0, rows, cols, uint64_t(rows * 131 + cols)),
          strips(packed_bytes(DS4_TYPE_Q8_0, rows, cols)), forms(tokens, cols, Precision::int8),
          x(size_t(tokens * cols)) {
        Random random(uint64_t(tokens + cols));
        for (float &value : x) value = random.symmetric();
        const int64_t count = (rows + kStripRows - 1) / kStripRows;
        for (int64_t i = 0; i < count; i++)
            pack_strip(weights.matrix, i, strips.data() + i * int64_t(strips.size()) / count);
        weights.matrix.strips = strips.data();
    }
    // [tokens, rows] by multiply; the words between the rows are checked.
    std::vector<float> multiplied(Isa isa, int threads, int64_t count) {
        const int64_t rows = weights.matrix.rows, cols = weights.matrix.cols, stride = rows + 3;
        ThreadPool pool(threads);
        const Activations prepared = prepare_activations(
            pool, isa, x.data(), int64_t(x.size()) / cols, cols, Precision::int8, forms.data());
        std::vector<float> padded(size_t(count * stride) + 1, f32_from_bits(kGuardBits)), y;
        const Product product{weights.matrix, &prepared, nullptr, count, padded.data(), stride};
        multiply(pool, isa, {&product, 1});
        for (int64_t i = 0; i < count; i++) {
            y.insert(y.end(), padded.begin() + i * stride, padded.begin() + i * stride + rows);
            for (int64_t row = rows; row < stride; row++)
                CHECK(f32_bits(padded[size_t(i * stride + row)]) == kGuardBits);
        }
        CHECK(f32_bits(padded.back()) == kGuardBits);
        return y;
    }
    // The largest error of y [count, rows] against sums in double of the rounded activations, over
    // the sum of magnitudes.
    double error(const std::vector<float> &y, int64_t count) {
        const int64_t rows = weights.matrix.rows, cols = weights.matrix.cols;
        const std::vector<float> w = weights.decoded();
        double worst = 0;
        for (int64_t t = 0; t < count; t++)
            for (int64_t row = 0; row < rows; row++) {
                double sum = 0, magnitude = 1e-30;
                for (int64_t block = 0; block < cols / 32; block++) {
                    const float *values = x.data() + t * cols + block * 32;
                    double largest = 0;
                    for (int i = 0; i < 32; i++) largest = std::fmax(largest, std::fabs(values[i]));
                    for (int i = 0; i < 32; i++) {
                        const double product = double(w[size_t(row * cols + block * 32 + i)]) *
                                               std::nearbyint(values[i] * 127 / largest) * largest /
                                               127;
                        sum += product, magnitude += std::fabs(product);
                    }
                }
                const float got = y[size_t(t * rows + row)];
                if (std::isnan(got)) return INFINITY;
                worst = std::fmax(worst, std::fabs(double(got) - sum) / magnitude);
            }
        return worst;
    }

    Weights weights;
    GuardedBytes strips;
    ActivationMemory forms;
    std::vector<float> x; // [tokens, cols]
};

bool equal_bits(const std::vector<float> &a, const std::vector<float> &b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

} // namespace

TEST("strips give the sums of the stored rows, at every edge of strips, tiles and token blocks") {
    for (const int64_t cols : {32, 64, 96, 128, 480, 1120})
        for (const int64_t rows : {1, 15, 16, 17, 37, 64})
            for (const int64_t tokens : {1, 2, 3, 5, 6, 7, 13, 31, 97}) {
                StripProduct product(rows, cols, tokens);
                for (const Isa isa : {Isa::generic, Isa::avx512}) {
                    if (!machine::has(isa)) continue;
                    const std::vector<float> y = product.multiplied(isa, 1, tokens);
                    CHECK(product.error(y, tokens) < 2e-6);
                }
            }
}

TEST("strips give the same bits on every set, for any batch and number of threads") {
    constexpr int64_t kTokens = 211;
    for (const int64_t cols : {96, 2048}) {
        StripProduct product(150, cols, kTokens);
        const std::vector<float> expected = product.multiplied(Isa::generic, 1, kTokens);
        for (const Isa isa : {Isa::generic, Isa::avx512}) {
            if (!machine::has(isa)) continue;
            for (const int64_t count : {1, 2, 3, 4, 5, 6, 7, 12, 15, 16, 17, 32, 95, 96, 97, 211}) {
                const std::vector<float> part(expected.begin(), expected.begin() + count * 150);
                CHECK(equal_bits(product.multiplied(isa, 1, count), part));
                CHECK(equal_bits(product.multiplied(isa, 3, count), part));
            }
        }
    }
}

TEST("strips keep extreme codes and scales, and a NaN among the activations stays with its token") {
    StripProduct product(16, 64, 7);
    for (int64_t row = 0; row < 16; row++)
        for (int64_t block = 0; block < 2; block++) {
            uint8_t *stored = product.weights.codes.data() + row * 68 + block * 34;
            const uint16_t scale = row % 4 == 0   ? 0x7bff
                                   : row % 4 == 1 ? 1
                                   : row % 4 == 2 ? 0
                                                  : 0xfbff;
            std::memcpy(stored, &scale, 2);
            std::memset(stored + 2, row % 2 == 0 ? 0x80 : 0x7f, 32);
        }
    pack_strip(product.weights.matrix, 0, product.strips.data());
    std::fill(product.x.begin(), product.x.end(), 1.0f);
    product.x[64 * 3 + 40] = NAN;
    const std::vector<float> w = product.weights.decoded();
    for (const Isa isa : {Isa::generic, Isa::avx512}) {
        if (!machine::has(isa)) continue;
        const std::vector<float> y = product.multiplied(isa, 1, 7);
        for (size_t t = 0; t < 7; t++)
            for (size_t row = 0; row < 16; row++) {
                const float got = y[t * 16 + row], expected = 64 * w[row * 64];
                CHECK(t == 3 ? std::isnan(got)
                             : std::fabs(got - expected) <= 1e-6f * std::fabs(expected));
            }
    }
}

TEST("every code of a matrix lies in its place of a strip") {
    StripProduct product(19, 96, 1);
    for (int64_t row = 0; row < 19; row++)
        for (int64_t col = 0; col < 96; col++) {
            const uint8_t *strip = product.strips.data() + row / 16 * 2 * kQ8TileBytes;
            const uint8_t *tile = strip + col / 64 * kQ8TileBytes;
            const int64_t i = col % 64;
            CHECK(tile[i / 4 * 64 + row % 16 * 4 + i % 4] ==
                  uint8_t(product.weights.codes.data()[row * 102 + col / 32 * 34 + 2 + col % 32] ^
                          0x80));
        }
}

} // namespace ds4::cpu
