#include "sampling/logit_order.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "base/test.h"

using namespace ds4;

TEST("the order of logits is that of a plain stable sort, whole or cut, with equals and "
     "infinities") {
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

        LogitOrder order;
        const auto ids = [](std::span<const uint64_t> sorted) {
            std::vector<int32_t> out;
            for (const uint64_t key : sorted) out.push_back(LogitOrder::id(key));
            return out;
        };
        order.sort(keys);
        CHECK(ids(keys) == expected);
        for (const uint32_t count : {1u, 3u, 64u, 1024u}) {
            const std::vector<int32_t> top(expected.begin(),
                                           expected.begin() +
                                               long(std::min<size_t>(count, expected.size())));
            CHECK(ids(order.sort_top(logits, count)) == top);
        }
    }
}
