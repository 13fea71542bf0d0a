#include "backend/cpu/kernels/cache_kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "backend/cpu/kernels/weights_for_tests.h"
#include "base/test.h"
#include "format/scalar.h"
#include "machine/instruction_sets.h"

namespace ds4::cpu {
namespace {

using namespace ds4::cpu::test;

// Rows and one query in the packed format, with the query as the kernels take it.
struct IndexCase {
    int heads, groups;
    IndexRowFormat format;
    GuardedBytes rows; // ends at an unmapped page
    std::vector<float> query, weights, scales;
    std::vector<int8_t> codes;
    std::vector<int32_t> sums;

    IndexCase(int heads, int groups, int64_t count, uint64_t seed)
        : heads(heads), groups(groups), format{groups * 32, RowStorage::packed},
          rows(uint64_t(count * format.bytes())), query(size_t(heads * groups * 32)) {
        Random random(seed);
        std::vector<float> x(size_t(groups) * 32);
        for (int64_t i = 0; i < count; i++) {
            for (float &value : x) value = random.symmetric() * std::ldexp(1.0f, int(i % 9) - 4);
            format.encode(x.data(), rows.data() + i * format.bytes());
        }
        std::vector<uint8_t> row(size_t(format.bytes()));
        for (int h = 0; h < heads; h++) {
            for (float &value : x) value = random.symmetric() * std::ldexp(1.0f, h % 5 - 2);
            format.encode(x.data(), row.data());
            format.decode(row.data(), query.data() + h * groups * 32);
            weights.push_back(random.symmetric());
            for (int g = 0; g < groups; g++) add_group(row.data(), g);
        }
    }
    IndexQuery packed() const {
        return {heads, groups, codes.data(), sums.data(), scales.data(), weights.data()};
    }
    double exact(int64_t i, double *magnitude) const {
        std::vector<float> key(size_t(groups) * 32);
        format.decode(rows.data() + i * format.bytes(), key.data());
        double score = 0.0;
        *magnitude = 0.0;
        for (int h = 0; h < heads; h++) {
            double dot = 0.0, absolute = 0.0;
            for (size_t c = 0; c < key.size(); c++) {
                const double product = double(query[size_t(h) * key.size() + c]) * key[c];
                dot += product, absolute += std::fabs(product);
            }
            score += double(weights[size_t(h)]) * std::max(dot, 0.0);
            *magnitude += std::fabs(double(weights[size_t(h)])) * absolute;
        }
        return score;
    }

  private:
    void add_group(const uint8_t *row, int g) {
        int32_t sum = 0;
        for (const int shift : {0, 4})
            for (int j = 0; j < 16; j++) {
                codes.push_back(int8_t(e2m1_doubled(uint32_t(row[g * 16 + j] >> shift))));
                sum += codes.back();
            }
        sums.push_back(12 * sum);
        scales.push_back(e8m0_as_exponent(row[groups * 16 + g]) * 0.25f);
    }
};

std::vector<float> scores(const IndexCase &c, Isa isa, int64_t count) {
    std::vector<float> out(static_cast<size_t>(count), NAN);
    cache_kernels(isa).score_index_rows(c.packed(), c.rows.data(), count, out.data());
    return out;
}

} // namespace

TEST("scores of packed index rows agree with float64 and have the same bits in every set") {
    for (const int groups : {1, 2, 4, 8, 16})
        for (const int heads : {1, 2, 5, 64})
            for (const int64_t count : {1, 7, 8, 15, 16, 17, 100}) {
                const IndexCase c(heads, groups, count, uint64_t(groups * 1000 + heads));
                const std::vector<float> generic = scores(c, Isa::generic, count);
                for (int64_t i = 0; i < count; i++) {
                    double magnitude = 0.0;
                    const double expected = c.exact(i, &magnitude);
                    CHECK(std::fabs(double(generic[size_t(i)]) - expected) <=
                          magnitude * 0x1p-24 * double(heads + groups));
                }
                for (const Isa isa : kIsas)
                    if (machine::has(isa)) CHECK(scores(c, isa, count) == generic);
            }
}

TEST("every set decodes packed KV rows to the same bits, all codes and scales included") {
    for (const int channels : {128, 512}) {
        const KvRowFormat format{channels, 64, RowStorage::packed};
        const GuardedBytes row(uint64_t(format.bytes()));
        Random random(3);
        for (int round = 0; round < 600; round++) {
            for (int64_t i = 0; i < format.bytes(); i++)
                row.data()[i] = uint8_t(round < 300 ? round + i : random.next() >> 40);
            std::vector<float> expected(size_t(channels), 0.0f), actual(expected);
            format.decode(row.data(), expected.data());
            for (const Isa isa : kIsas) {
                if (!machine::has(isa)) continue;
                cache_kernels(isa).decode_kv_row(format, row.data(), actual.data());
                for (size_t i = 0; i < expected.size(); i++)
                    CHECK(std::isnan(expected[i]) ? std::isnan(actual[i])
                                                  : f32_bits(actual[i]) == f32_bits(expected[i]));
            }
        }
    }
}

TEST("plain KV rows are copied by every set") {
    const KvRowFormat format{128, 64, RowStorage::f32};
    std::vector<float> row(128), out(128);
    for (size_t i = 0; i < row.size(); i++) row[i] = float(i) - 40.5f;
    for (const Isa isa : kIsas) {
        if (!machine::has(isa)) continue;
        std::fill(out.begin(), out.end(), 0.0f);
        cache_kernels(isa).decode_kv_row(format, reinterpret_cast<const uint8_t *>(row.data()),
                                         out.data());
        CHECK(out == row);
    }
}

} // namespace ds4::cpu
