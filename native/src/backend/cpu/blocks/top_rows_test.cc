#include "backend/cpu/blocks/top_rows.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/test.h"

using namespace ds4::cpu;

namespace {

// By definition: a full stable sort, a NaN as minus infinity.
std::vector<int32_t> expected(const std::vector<float> &scores, int64_t count) {
    std::vector<int32_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    const auto value = [&](int32_t i) {
        return std::isnan(scores[size_t(i)]) ? -INFINITY : scores[size_t(i)];
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return value(a) > value(b); });
    order.resize(size_t(count));
    std::sort(order.begin(), order.end());
    return order;
}

std::vector<int32_t> chosen(const std::vector<float> &scores, int64_t count) {
    TopRows top;
    std::vector<int32_t> out(static_cast<size_t>(count), -1);
    top.choose(scores.data(), int64_t(scores.size()), count, out.data());
    return out;
}

} // namespace

TEST("the best rows equal those of a stable sort: ties, zeros, infinities and NaN included") {
    uint32_t state = 7;
    const auto random = [&] { return state = state * 1664525u + 1013904223u, state >> 8; };
    for (int round = 0; round < 300; round++) {
        const size_t n = 1 + random() % 3000;
        std::vector<float> scores(n);
        const uint32_t kinds = 1 + random() % 40; // few different values make many ties
        for (float &score : scores) {
            switch (random() % 12) {
            case 0: score = 0.0f; break;
            case 1: score = -0.0f; break;
            case 2: score = round % 3 == 0 ? NAN : -1e-40f; break;
            case 3: score = round % 5 == 0 ? -INFINITY : 1e-40f; break;
            case 4: score = round % 7 == 0 ? INFINITY : 3.0f; break;
            default: score = (float(random() % kinds) - float(kinds / 2)) * 0.37f;
            }
        }
        const int64_t count = 1 + int64_t(random() % n);
        CHECK(chosen(scores, count) == expected(scores, count));
    }
}
