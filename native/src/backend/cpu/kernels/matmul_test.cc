#include "backend/cpu/kernels/matmul.h"

#include <cstdint>
#include <limits>

#include "backend/cpu/kernels/weights_for_tests.h"
#include "base/test.h"
#include "ds4.h"
#include "format/scalar.h"
#include "machine/instruction_sets.h"

namespace ds4::cpu {
namespace {

using namespace ds4::cpu::test;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr uint32_t kGuard = 0x7fabcdefu; // a NaN that no product makes

// One call of multiply: outputs start as NaN and stand between guard words.
struct Run {
    const Matrix *weight;
    const std::vector<float> *x; // [tokens, cols]
    Isa isa;
    Precision precision;
    int threads = 1;
    std::vector<int32_t> gather; // empty: all tokens in order

    // [count, rows]; guards are checked
    std::vector<float> operator()() const {
        const int64_t cols = weight->cols, rows = weight->rows, tokens = int64_t(x->size()) / cols;
        const int64_t count = gather.empty() ? tokens : int64_t(gather.size()), stride = rows + 3;
        ThreadPool pool(threads);
        ActivationMemory memory(tokens, cols, precision);
        const Activations prepared =
            prepare_activations(pool, isa, x->data(), tokens, cols, precision, memory.data());
        std::vector<float> padded(size_t(count * stride) + 1, f32_from_bits(kGuard));
        for (int64_t i = 0; i < count; i++)
            for (int64_t row = 0; row < rows; row++) padded[size_t(i * stride + row)] = kNan;
        Product product{};
        product.weight = *weight, product.x = &prepared, product.count = count;
        product.row_index = gather.empty() ? nullptr : gather.data();
        product.y = padded.data(), product.y_stride = stride;
        multiply(pool, isa, {&product, 1});
        std::vector<float> y;
        for (int64_t i = 0; i < count; i++) {
            y.insert(y.end(), padded.begin() + i * stride, padded.begin() + i * stride + rows);
            for (int64_t row = rows; row < stride; row++)
                CHECK(f32_bits(padded[size_t(i * stride + row)]) == kGuard);
        }
        CHECK(f32_bits(padded.back()) == kGuard);
        return y;
    }
};

std::vector<float> random_values(int64_t count, uint64_t seed) {
    Random random(seed);
    std::vector<float> values(static_cast<size_t>(count));
    for (float &value : values) value = random.symmetric();
    return values;
}

// The values that int8 activations stand for: x rounded per 32 channels with scale amax / 127, by
// the definition.
std::vector<double> rounded_activations(const std::vector<float> &x, int64_t cols) {
    std::vector<double> out(x.size());
    for (size_t row = 0; row < x.size(); row += size_t(cols))
        for (int64_t base = 0; base < cols; base += 32) {
            double largest = 0;
            for (int64_t i = base; i < base + 32; i++)
                largest = std::fmax(largest, std::fabs(x[row + size_t(i)]));
            const double scale = largest / 127;
            for (int64_t i = base; i < base + 32; i++)
                out[row + size_t(i)] =
                    scale > 0 ? std::nearbyint(x[row + size_t(i)] / scale) * scale : 0;
        }
    return out;
}

// Compares y [tokens, rows] with sums in double. A float sum of n products has at most n roundings,
// each 2^-24 of the sum of magnitudes. An int8 code may differ by one where x / scale lies within
// an ulp of a half.
void check_against_double(const Weights &weights, const std::vector<float> &x,
                          const std::vector<float> &y, Precision precision, const char *what) {
    const int64_t cols = weights.matrix.cols, rows = weights.matrix.rows,
                  tokens = int64_t(x.size()) / cols;
    const std::vector<float> w = weights.decoded();
    const bool int8 =
        precision == Precision::int8 && type_traits(weights.matrix.type)->block_elements > 1;
    const std::vector<double> rounded =
        int8 ? rounded_activations(x, cols) : std::vector<double>(x.begin(), x.end());
    double worst = 0;
    for (int64_t t = 0; t < tokens; t++)
        for (int64_t row = 0; row < rows; row++) {
            double sum = 0, magnitude = 0;
            for (int64_t i = 0; i < cols; i++) {
                const double product =
                    double(w[size_t(row * cols + i)]) * rounded[size_t(t * cols + i)];
                sum += product, magnitude += std::fabs(product);
            }
            const double tolerance =
                magnitude * (double(cols) * 0x1p-24 + (int8 ? 1e-5 : 0)) + 1e-30;
            const double error = std::fabs(double(y[size_t(t * rows + row)]) - sum) / tolerance;
            worst = error > worst || std::isnan(error) ? error : worst;
            if (std::isnan(error)) break;
        }
    if (!(worst <= 1))
        ds4::test::record(__FILE__, __LINE__,
                          std::string(what) + ": error is " + std::to_string(worst) +
                              " of the tolerance");
}

std::string label(uint32_t type, Isa isa, Precision precision, int64_t rows, int64_t cols,
                  int64_t tokens) {
    return std::string(type_traits(type)->name) + " " + isa_name(isa) +
           (precision == Precision::int8 ? " int8 " : " f32 ") + std::to_string(rows) + "x" +
           std::to_string(cols) + " tokens " + std::to_string(tokens);
}

void check_shape(uint32_t type, Precision precision, int64_t rows, int64_t cols, int64_t tokens) {
    const Weights weights(type, rows, cols, uint64_t(rows * 131 + cols));
    const std::vector<float> x = random_values(tokens * cols, uint64_t(tokens + cols));
    for (const Isa isa : kIsas) {
        if (!machine::has(isa)) continue;
        const std::vector<float> y = Run{&weights.matrix, &x, isa, precision, 1, {}}();
        check_against_double(weights, x, y, precision,
                             label(type, isa, precision, rows, cols, tokens).c_str());
    }
}

bool same_bits(const std::vector<float> &a, const std::vector<float> &b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Results for a batch must equal those of its single rows, whatever the threads, order or
// neighbours.
void check_invariance(uint32_t type, Isa isa, Precision precision, int64_t rows, int64_t cols) {
    constexpr int64_t kTokens = 71;
    const Weights weights(type, rows, cols, 7);
    const std::vector<float> x = random_values(kTokens * cols, 3);
    const std::vector<float> batch = Run{&weights.matrix, &x, isa, precision, 1, {}}();
    const std::string what = label(type, isa, precision, rows, cols, kTokens);
    const auto expect = [&](bool claim, const char *text) {
        if (!claim) ds4::test::record(__FILE__, __LINE__, what + ": " + text);
    };
    expect(same_bits(Run{&weights.matrix, &x, isa, precision, 3, {}}(), batch),
           "three threads give other bits");
    for (const int64_t count : {1, 2, 3, 7, 8, 9, 31, 64}) {
        const std::vector<float> part(x.begin(), x.begin() + count * cols);
        const std::vector<float> expected(batch.begin(), batch.begin() + count * rows);
        expect(same_bits(Run{&weights.matrix, &part, isa, precision, 1, {}}(), expected),
               "a smaller batch gives other bits");
    }
    std::vector<int32_t> gather;
    for (int i = 0; i < 13; i++) gather.push_back((i * 29 + 5) % int(kTokens));
    gather.push_back(gather.front());
    const std::vector<float> gathered = Run{&weights.matrix, &x, isa, precision, 2, gather}();
    for (size_t i = 0; i < gather.size(); i++)
        expect(std::memcmp(&gathered[i * size_t(rows)], &batch[size_t(gather[i]) * size_t(rows)],
                           size_t(rows) * 4) == 0,
               "gathering gives other bits");
}

} // namespace

TEST("products of block types agree with sums in double for every set, precision and shape") {
    for (const uint32_t type : kBlockTypes) {
        const int64_t block = type_traits(type)->block_elements;
        for (const Precision precision : {Precision::f32, Precision::int8}) {
            for (const int64_t cols : {block, 3 * block, 1024 - block, int64_t(512), int64_t(2048)})
                for (const int64_t rows : {1, 3, 17})
                    for (const int64_t tokens : {1, 2, 3, 9})
                        check_shape(type, precision, rows, cols, tokens);
            check_shape(type, precision, 64, 256, 64);
            check_shape(type, precision, 17, 768, 31);
        }
    }
}

TEST("products of dense types agree with sums in double for every set and shape, odd column counts "
     "too") {
    for (const uint32_t type : kDenseTypes) {
        for (const int64_t cols : {1, 7, 16, 33, 128, 129, 520, 1024, 1027})
            for (const int64_t rows : {1, 3, 17, 131})
                for (const int64_t tokens : {1, 2, 3, 9})
                    check_shape(type, Precision::f32, rows, cols, tokens);
        check_shape(type, Precision::int8, 64, 96,
                    8); // falls back to f32 where no int8 form exists
        check_shape(type, Precision::f32, 64, 256, 65);
    }
}

TEST("a row's result has the same bits in every batch, order, gather and number of threads") {
    for (const Isa isa : kIsas) {
        if (!machine::has(isa)) continue;
        for (const uint32_t type : kBlockTypes)
            for (const Precision precision : {Precision::f32, Precision::int8}) {
                check_invariance(type, isa, precision, 37, 768);
                check_invariance(type, isa, precision, 8, 2048);
            }
        for (const uint32_t type : kDenseTypes)
            check_invariance(type, isa, Precision::f32, 37, 523);
    }
}

TEST("several products in one call and products without rows or tokens") {
    const Weights first(DS4_TYPE_Q8_0, 4099, 96, 1), second(DS4_TYPE_F16, 1031, 96, 2),
        none(DS4_TYPE_Q8_0, 0, 96, 3);
    const std::vector<float> x = random_values(5 * 96, 9);
    for (const Isa isa : kIsas) {
        if (!machine::has(isa)) continue;
        ThreadPool pool(3);
        ActivationMemory memory(5, 96, Precision::int8);
        const Activations prepared =
            prepare_activations(pool, isa, x.data(), 5, 96, Precision::int8, memory.data());
        std::vector<float> y1(5 * 4099, kNan), y2(5 * 1031, kNan), untouched(4, kNan);
        Product products[4] = {};
        products[0] = {first.matrix, &prepared, nullptr, 5, y1.data(), 4099};
        products[1] = {none.matrix, &prepared, nullptr, 5, untouched.data(), 1};
        products[2] = {second.matrix, &prepared, nullptr, 5, y2.data(), 1031};
        products[3] = {first.matrix, &prepared, nullptr, 0, untouched.data(), 1};
        multiply(pool, isa, products);
        CHECK(same_bits(y1, (Run{&first.matrix, &x, isa, Precision::int8, 1, {}}())));
        CHECK(same_bits(y2, (Run{&second.matrix, &x, isa, Precision::f32, 1, {}}())));
        for (const float value : untouched) CHECK(std::isnan(value));
        multiply(pool, isa, {});
    }
}

TEST("an epilogue runs once a group, after all of its rows, whatever the threads and products") {
    const Weights first(DS4_TYPE_Q8_0, 4099, 96, 1), second(DS4_TYPE_F16, 1031, 96, 2);
    const std::vector<float> x = random_values(3 * 96, 9);
    for (const int threads : {1, 2, 5}) {
        ThreadPool pool(threads);
        for (const int64_t rows : {1, 100, 1031, 8192}) {
            Activations exact;
            exact.count = 3, exact.cols = 96, exact.values = x.data();
            std::vector<float> y1(3 * 4099, kNan), y2(3 * 1031, kNan);
            std::vector<std::atomic<int>> runs(size_t((4099 + rows - 1) / rows));
            std::atomic<int> early{0}, beside{0};
            Epilogue epilogue(rows, [&](int64_t group) {
                runs[size_t(group)]++;
                for (int64_t row = group * rows; row < (group + 1) * rows; row++)
                    for (int64_t t = 0; t < 3; t++)
                        early += (row < 4099 && std::isnan(y1[size_t(t * 4099 + row)])) ||
                                 (row < 1031 && std::isnan(y2[size_t(t * 1031 + row)]));
            });
            const Product products[] = {
                {first.matrix, &exact, nullptr, 3, y1.data(), 4099, &epilogue},
                {second.matrix, &exact, nullptr, 3, y2.data(), 1031, &epilogue}};
            const uint64_t before = pool.regions();
            multiply(pool, machine::best_isa(), products,
                     {7, [&](int64_t item, int worker) {
                          beside += worker < threads ? 1 << (3 * int(item)) : 0;
                      }});
            CHECK(pool.regions() - before == (threads == 1 ? 0u : 1u));
            CHECK(early == 0 && beside == 01111111);
            for (const auto &count : runs) CHECK(count == 1);
        }
    }
}

TEST("extreme E8M0 scales keep their value") {
    for (const Isa isa : kIsas) {
        if (!machine::has(isa)) continue;
        for (const Precision precision : {Precision::f32, Precision::int8})
            for (const int e : {0, 1, 127, 254}) {
                Weights weights(DS4_TYPE_MXFP4, 5, 160, 4);
                for (uint64_t i = 0; i < weights.codes.size(); i++)
                    weights.codes.data()[i] = i % 17 == 0 ? uint8_t(e) : 0x12; // 1.0 low, 0.5 high
                const std::vector<float> x(160, e == 254 ? 0x1p-20f : 0x1p20f);
                for (const float y : Run{&weights.matrix, &x, isa, precision, 1, {}}()) {
                    const double expected = 160 * 0.75 * double(x[0]) * std::ldexp(1.0, e - 127);
                    CHECK(std::fabs(double(y) - expected) <= 1e-5 * expected);
                }
            }
    }
}

TEST("every E4M3 code has its exact value under the least, common and greatest scales, NaN codes "
     "included") {
    constexpr int64_t kCodes = 256, kCols = 152; // whole vectors of every set and single elements
    Weights weights(DS4_TYPE_F8_E4M3, kCodes, kCols, 6);
    for (int64_t row = 0; row < kCodes; row++)
        std::memset(weights.codes.data() + row * kCols, int(row), size_t(kCols));
    for (const int scale : {0, 1, 120, 246, 247, 254, 255}) {
        std::memset(weights.scales.data(), scale, weights.scales.size());
        const std::vector<float> w = weights.decoded();
        for (const int64_t channel : {0, 31, 77, 127, 145, 151})
            for (const int64_t tokens : {1, 3})
                for (const Isa isa : kIsas) {
                    if (!machine::has(isa)) continue;
                    std::vector<float> x(size_t(tokens * kCols), 0.0f);
                    x[size_t(channel)] = 1.0f;
                    const std::vector<float> y =
                        Run{&weights.matrix, &x, isa, Precision::f32, 1, {}}();
                    for (int64_t row = 0; row < kCodes; row++) {
                        const float expected = w[size_t(row * kCols + channel)],
                                    got = y[size_t(row)];
                        CHECK(std::isfinite(expected) ? got == expected
                                                      : std::isnan(got)); // 0 * infinity is NaN
                    }
                }
    }
}

TEST("zeros, subnormals, infinities and NaN in activations") {
    const Weights weights(DS4_TYPE_Q8_0, 3, 64, 5);
    const std::vector<float> zeros(64, 0.0f);
    for (const Isa isa : kIsas) {
        if (!machine::has(isa)) continue;
        for (const Precision precision : {Precision::f32, Precision::int8}) {
            for (const float y : Run{&weights.matrix, &zeros, isa, precision, 1, {}}())
                CHECK(y == 0.0f);
            std::vector<float> x(64, 0x1p-140f);
            for (const float y : Run{&weights.matrix, &x, isa, precision, 1, {}}())
                CHECK(std::fabs(y) < 0x1p-120f);
            for (const float bad : {kNan, std::numeric_limits<float>::infinity()}) {
                x.assign(64, 1.0f);
                x[40] = bad;
                for (const float y : Run{&weights.matrix, &x, isa, precision, 1, {}}())
                    CHECK(!std::isfinite(y));
            }
        }
    }
}

TEST("all sets quantise activations to the same bytes") {
    for (const int64_t cols : {1, 31, 32, 100, 128, 500, 4096}) {
        std::vector<float> x = random_values(3 * cols, uint64_t(cols));
        x[size_t(cols) / 2] = kNan;
        ThreadPool pool(2);
        ActivationMemory memory(3, cols, Precision::int8), other(3, cols, Precision::int8);
        const uint64_t bytes = activation_bytes(3, cols, Precision::int8);
        std::memset(memory.data(), 1, bytes), std::memset(other.data(), 2, bytes);
        const Activations a = prepare_activations(pool, Isa::generic, x.data(), 3, cols,
                                                  Precision::int8, memory.data());
        const Activations b = prepare_activations(pool, machine::best_isa(), x.data(), 3, cols,
                                                  Precision::int8, other.data());
        for (int64_t g = 0; g < 3 * ((cols + 127) / 128); g++) {
            const ActivationGroup &first = a.groups[g], &second = b.groups[g];
            CHECK(std::memcmp(first.quants, second.quants, sizeof first.quants) == 0);
            CHECK(std::memcmp(first.scales, second.scales, sizeof first.scales) == 0);
            CHECK(std::memcmp(first.sums, second.sums, sizeof first.sums) == 0);
            CHECK(std::memcmp(first.starts, second.starts, sizeof first.starts) == 0);
        }
    }
}

} // namespace ds4::cpu
