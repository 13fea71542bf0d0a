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

struct Form {
    const char *name;
    RowsFunction function;
    bool here;
};
std::vector<Form> forms() {
    return {{"avx512bf16", strips_f8_avx512bf16, machine::has_avx512_bf16()},
            {"amx", strips_f8_amx, machine::has(Isa::amx)}};
}

// Packed weights, their strips before an unmapped page, and activations.
struct F8Product {
    F8Product(int64_t rows, int64_t cols, int64_t tokens)
        : weights(DS4_TYPE_F8_E4M3, rows, cols, uint64_t(rows * 131 + cols)),
          strips(packed_bytes(DS4_TYPE_F8_E4M3, rows, cols)),
          memory(tokens, cols, Precision::int8_bf16), x(size_t(tokens * cols)), tokens_(tokens) {
        Random random(uint64_t(tokens + cols));
        for (float &value : x) value = random.symmetric();
        weights.matrix.strips = strips.data();
        pack();
    }
    void pack() {
        const int64_t count = (weights.matrix.rows + kStripRows - 1) / kStripRows;
        for (int64_t i = 0; i < count; i++)
            pack_strip(weights.matrix, i, strips.data() + i * int64_t(strips.size()) / count);
    }
    Activations prepared() {
        ThreadPool pool(1);
        return prepare_activations(pool, machine::best_isa(), x.data(), tokens_,
                                   weights.matrix.cols, Precision::int8_bf16, memory.data());
    }
    // [count, rows] in one call; the words between the rows are checked.
    std::vector<float> operator()(RowsFunction function, int64_t count,
                                  const int32_t *gather = nullptr) {
        const Activations activations = prepared();
        const int64_t rows = weights.matrix.rows, stride = rows + 3;
        std::vector<float> padded(size_t(count * stride), f32_from_bits(kGuardBits)), y;
        function({weights.matrix, 0, rows, &activations, gather, count, padded.data(), stride});
        for (int64_t i = 0; i < count; i++) {
            y.insert(y.end(), padded.begin() + i * stride, padded.begin() + i * stride + rows);
            for (int64_t row = rows; row < stride; row++)
                CHECK(f32_bits(padded[size_t(i * stride + row)]) == kGuardBits);
        }
        return y;
    }
    float rounded(int64_t token, int64_t i) const {
        if (i >= weights.matrix.cols) return 0.0f;
        const float value = x[size_t(token * weights.matrix.cols + i)];
        return std::fabs(value) < 0x1p-100f ? 0.0f : bf16_to_f32(f32_to_bf16(value));
    }

    Weights weights;
    GuardedBytes strips;
    ActivationMemory memory;
    std::vector<float> x; // [tokens, cols]

  private:
    int64_t tokens_;
};

// The largest error of y against sums in double, over the sum of magnitudes.
double error_of(const F8Product &product, const std::vector<float> &y, int64_t count) {
    const int64_t rows = product.weights.matrix.rows, cols = product.weights.matrix.cols;
    const std::vector<float> w = product.weights.decoded();
    double worst = 0;
    for (int64_t t = 0; t < count; t++)
        for (int64_t row = 0; row < rows; row++) {
            double sum = 0, magnitude = 1e-30;
            for (int64_t i = 0; i < cols; i++) {
                const double one = double(w[size_t(row * cols + i)]) * product.rounded(t, i);
                sum += one, magnitude += std::fabs(one);
            }
            const float got = y[size_t(t * rows + row)];
            if (std::isnan(got)) return INFINITY;
            worst = std::fmax(worst, std::fabs(double(got) - sum) / magnitude);
        }
    return worst;
}

// The sum of strips.h for AMX.
float defined(const F8Product &product, const std::vector<float> &w, int64_t token, int64_t row) {
    const int64_t cols = product.weights.matrix.cols;
    float sum = 0;
    for (int64_t group = 0; group < strip_tiles(cols) * 2; group++) {
        float even = 0, odd = 0;
        for (int64_t i = group * 32; i < group * 32 + 32; i += 2) {
            const auto weight = [&](int64_t at) {
                return at < cols ? w[size_t(row * cols + at)] : 0.0f;
            };
            even = std::fma(product.rounded(token, i), weight(i), even);
            odd = std::fma(product.rounded(token, i + 1), weight(i + 1), odd);
        }
        sum += even + odd;
    }
    return sum;
}

bool equal_bits(const std::vector<float> &a, const std::vector<float> &b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

} // namespace

TEST("strips of E4M3 give the sums of rounded activations, at every edge") {
    for (const Form &form : forms()) {
        if (!form.here) continue;
        for (const int64_t cols : {1, 63, 64, 129, 511, 512, 576, 1100})
            for (const int64_t rows : {1, 16, 17, 37, 131})
                for (const int64_t tokens : {1, 2, 6, 7, 16, 17, 33, 97}) {
                    F8Product product(rows, cols, tokens);
                    CHECK(error_of(product, product(form.function, tokens), tokens) < 3e-6);
                }
    }
}

TEST("strips of E4M3 give the same bits for any batch and gather") {
    constexpr int64_t kTokens = 300, kRows = 150, kCols = 1100;
    F8Product product(kRows, kCols, kTokens);
    for (const Form &form : forms()) {
        if (!form.here) continue;
        const std::vector<float> all = product(form.function, kTokens);
        for (const int64_t count : {1, 2, 5, 6, 7, 15, 16, 17, 31, 32, 33, 48, 96, 97, 256, 257}) {
            const std::vector<float> part(all.begin(), all.begin() + count * kRows);
            CHECK(equal_bits(product(form.function, count), part));
        }
        std::vector<int32_t> gather;
        for (int i = 0; i < 40; i++) gather.push_back(i < 20 ? 100 + i : (i * 29 + 5) % 300);
        const std::vector<float> gathered = product(form.function, 40, gather.data());
        for (size_t i = 0; i < gather.size(); i++)
            CHECK(std::memcmp(&gathered[i * kRows], &all[size_t(gather[i]) * kRows],
                              kRows * sizeof(float)) == 0);
    }
}

TEST("tile registers sum strips of E4M3 as they are defined") {
    if (!machine::has(Isa::amx)) return;
    F8Product product(33, 1100, 19);
    product.x[5] = 1e-37f, product.x[6] = -0x1p-101f; // count as zero
    const std::vector<float> y = product(strips_f8_amx, 19), w = product.weights.decoded();
    for (int64_t t = 0; t < 19; t++)
        for (int64_t row = 0; row < 33; row++)
            CHECK(f32_bits(y[size_t(t * 33 + row)]) == f32_bits(defined(product, w, t, row)));
}

TEST("every E4M3 code is exact under the least and the largest scale of strips") {
    F8Product product(256, 64, 1);
    for (int64_t row = 0; row < 256; row++)
        std::memset(product.weights.codes.data() + row * 64, int(row), 64);
    std::fill(product.x.begin(), product.x.end(), 0.0f);
    product.x[37] = 1.0f;
    for (const int scale : {kLeastStripScale, 127, kLargestStripScale}) {
        std::memset(product.weights.scales.data(), scale, product.weights.scales.size());
        CHECK(is_packable(product.weights.matrix, 0));
        product.pack();
        const std::vector<float> w = product.weights.decoded();
        for (const Form &form : forms()) {
            if (!form.here) continue;
            const std::vector<float> y = product(form.function, 1);
            for (size_t row = 0; row < 256; row++)
                if (std::isfinite(w[row * 64])) CHECK(y[row] == w[row * 64 + 37]);
        }
    }
    for (const int scale : {kLeastStripScale - 1, kLargestStripScale + 1}) {
        product.weights.scales.data()[product.weights.scales.size() - 1] = uint8_t(scale);
        CHECK(is_packable(product.weights.matrix, 7)); // rows of the first 128
        CHECK(!is_packable(product.weights.matrix, 8));
    }
}

TEST("a NaN among bf16 activations stays with its token") {
    F8Product product(16, 128, 20);
    product.x[size_t(3 * 128 + 40)] = NAN;
    for (const Form &form : forms()) {
        if (!form.here) continue;
        const std::vector<float> y = product(form.function, 20);
        for (size_t i = 0; i < y.size(); i++) CHECK(std::isnan(y[i]) == (i / 16 == 3));
    }
}

} // namespace ds4::cpu
