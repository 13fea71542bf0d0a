#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "backend/cpu/kernels/matmul.h"
#include "backend/cpu/kernels/weights_for_tests.h"
#include "base/test.h"
#include "machine/instruction_sets.h"

namespace ds4::cpu {
namespace {

using namespace ds4::cpu::test;

// n floats that end at an unmapped page.
struct Floats {
    GuardedBytes bytes;
    Floats(int64_t count, uint64_t seed) : bytes(uint64_t(count) * 4) {
        Random random(seed);
        for (int64_t i = 0; i < count; i++) data()[i] = random.symmetric();
    }
    float *data() const { return reinterpret_cast<float *>(bytes.data()); }
};

double exact_dot(const float *a, const float *b, int64_t n, double *magnitude) {
    double sum = 0;
    *magnitude = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += double(a[i]) * b[i];
        *magnitude += std::fabs(double(a[i]) * b[i]);
    }
    return sum;
}

bool is_close(double actual, double expected, double magnitude, int64_t n) {
    return std::fabs(actual - expected) <= magnitude * double(n) * 0x1p-24 + 1e-30;
}

constexpr int64_t kLengths[] = {0, 1, 7, 8, 15, 16, 17, 64, 100, 512, 515};

} // namespace

TEST("sum of squares and scaled addition agree with double") {
    for (const Isa isa : kIsas) {
        if (!machine::has(isa)) continue;
        const VectorKernels &kernels = vector_kernels(isa);
        for (const int64_t n : kLengths) {
            const Floats a(n, 1), y(n, 3);
            double magnitude = 0;
            const double squares = exact_dot(a.data(), a.data(), n, &magnitude);
            CHECK(is_close(kernels.sum_squares(a.data(), n), squares, magnitude, n));
            const std::vector<float> before(y.data(), y.data() + n);
            kernels.add_scaled(y.data(), 0.37f, a.data(), n);
            for (int64_t i = 0; i < n; i++) {
                const double sum = double(before[size_t(i)]) + double(0.37f) * a.data()[i];
                CHECK(std::fabs(y.data()[i] - sum) <= 2 * 0x1p-24);
            }
        }
    }
}

TEST(
    "attention's two products agree with double and do not depend on the number of heads or rows") {
    for (const Isa isa : kIsas) {
        if (!machine::has(isa)) continue;
        const VectorKernels &kernels = vector_kernels(isa);
        for (const int64_t dim : {16, 33, 128, 512})
            for (const int64_t heads : {1, 4, 7})
                for (const int64_t rows : {0, 1, 5, 64}) {
                    const int64_t stride = rows + 2;
                    const Floats q(heads * dim, 4), k(rows * dim, 5), p(heads * stride, 6),
                        y(heads * dim, 7);
                    std::vector<float> s(size_t(heads * stride), -99.0f);
                    kernels.score_rows(s.data(), stride, q.data(), k.data(), heads, rows, dim);
                    const std::vector<float> start(y.data(), y.data() + heads * dim);
                    kernels.weighted_rows(y.data(), p.data(), stride, k.data(), heads, rows, dim);
                    for (int64_t h = 0; h < heads; h++) {
                        for (int64_t row = 0; row < rows; row++) {
                            double magnitude = 0;
                            const double expected = exact_dot(
                                q.data() + h * dim, k.data() + row * dim, dim, &magnitude);
                            const float score = s[size_t(h * stride + row)];
                            CHECK(is_close(score, expected, magnitude, dim));
                            float alone = 0;
                            kernels.score_rows(&alone, 1, q.data() + h * dim, k.data() + row * dim,
                                               1, 1, dim);
                            CHECK(alone == score);
                        }
                        for (int64_t row = rows; row < stride; row++)
                            CHECK(s[size_t(h * stride + row)] == -99.0f);
                        std::vector<float> alone(start.begin() + h * dim,
                                                 start.begin() + (h + 1) * dim);
                        kernels.weighted_rows(alone.data(), p.data() + h * stride, stride, k.data(),
                                              1, rows, dim);
                        CHECK(std::memcmp(alone.data(), y.data() + h * dim, size_t(dim) * 4) == 0);
                        for (int64_t i = 0; i < dim; i++) {
                            double sum = start[size_t(h * dim + i)], magnitude = std::fabs(sum);
                            for (int64_t row = 0; row < rows; row++) {
                                const double term =
                                    double(p.data()[h * stride + row]) * k.data()[row * dim + i];
                                sum += term, magnitude += std::fabs(term);
                            }
                            CHECK(is_close(y.data()[h * dim + i], sum, magnitude, rows + 1));
                        }
                    }
                }
    }
}

TEST("softened scores agree with double, a far one weighs nothing and a NaN does not vanish") {
    for (const Isa isa : kIsas) {
        if (!machine::has(isa)) continue;
        const VectorKernels &kernels = vector_kernels(isa);
        for (const int64_t n : {0, 1, 7, 16, 17, 33, 640})
            for (const float size : {1e-3f, 1.0f, 50.0f})
                for (const float sink : {-INFINITY, -3.0f, 0.25f, 40.0f}) {
                    if (n == 0 && sink < -100.0f) continue; // no score at all
                    const Floats scores(n, 8);
                    for (int64_t i = 0; i < n; i++) scores.data()[i] *= size;
                    const std::vector<float> given(scores.data(), scores.data() + n);
                    const float scale = 0.75f;
                    double highest = sink, total = 0.0;
                    for (const float s : given) highest = std::max(highest, double(scale * s));
                    const Softening row = kernels.soften(scores.data(), n, scale, sink);
                    CHECK(row.highest == highest);
                    for (int64_t i = 0; i < n; i++) {
                        const double below = highest - double(scale * given[size_t(i)]);
                        const double weight = below < 28.0 ? std::exp(-below) : 0.0;
                        // Half a last bit of a distance of up to 28 is the larger part of it.
                        CHECK(std::fabs(scores.data()[i] - weight) <= weight * 1.4e-6 + 1e-12);
                        total += scores.data()[i];
                    }
                    if (highest - sink < 28.0) total += std::exp(sink - highest);
                    CHECK(std::fabs(row.total - total) <= total * 3e-6);
                }
        float damaged[20] = {};
        damaged[3] = NAN, damaged[18] = NAN;
        CHECK(std::isnan(kernels.soften(damaged, 20, 1.0f, 0.0f).total));
        CHECK(std::isnan(damaged[3]) && std::isnan(damaged[18]) && damaged[4] == 1.0f);
    }
}

} // namespace ds4::cpu
