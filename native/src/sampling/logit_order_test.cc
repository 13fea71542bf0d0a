#include "sampling/logit_order.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "base/test.h"

using namespace ds4;

TEST("the order of keys is that of a plain stable sort, whole or cut, with equals") {
    std::mt19937 random(3);
    const float infinity = std::numeric_limits<float>::infinity();
    for (const size_t size : {1u, 5u, 100u, 2047u, 2048u, 30'000u}) {
        std::vector<float> logits(size);
        for (float &logit : logits)
            logit = float(int(random() % 401) - 200) / 8.0f * (random() % 3 == 0 ? 0.0f : 1.0f);
        for (size_t i = 1; i < size; i += 7) logits[i] = i % 2 == 0 ? infinity : -infinity;
        std::vector<int32_t> expected;
        std::vector<uint64_t> keys;
        for (size_t i = 0; i < size; i++) {
            if (!std::isfinite(logits[i])) continue;
            expected.push_back(int32_t(i));
            keys.push_back(LogitOrder::key(logits[i], int64_t(i)));
        }
        std::stable_sort(expected.begin(), expected.end(), [&](int32_t a, int32_t b) {
            return logits[size_t(a)] > logits[size_t(b)];
        });

        const auto ids = [](std::vector<uint64_t> some) {
            std::sort(some.begin(), some.end());
            std::vector<int32_t> out;
            for (const uint64_t key : some) out.push_back(LogitOrder::id(key));
            return out;
        };
        CHECK(ids(keys) == expected);
        for (const size_t count : {1u, 3u, 64u, 1024u}) {
            std::vector<uint64_t> first = keys;
            LogitOrder::cut(first, count);
            const std::vector<int32_t> top(
                expected.begin(), expected.begin() + long(std::min(count, expected.size())));
            CHECK(ids(first) == top);
        }
    }
}
