#include "moe/roofline.h"

#include <cstring>

#include "base/test.h"

using namespace ds4::bench;

TEST("the limit is the slower of reading and calculating") {
    const Machine machine{100e9, 1e12};
    const Limit reading = limit_of({50e9, 0.1e12}, machine);
    CHECK_CLOSE(reading.seconds, 0.5, 1e-12);
    CHECK(reading.is_memory);
    const Limit calculating = limit_of({1e9, 3e12}, machine);
    CHECK_CLOSE(calculating.seconds, 3, 1e-12);
    CHECK(!calculating.is_memory);
}

TEST("an expert of Flash changes from reading to calculating where its intensity meets the "
     "machine's") {
    // 17/32 byte and 2 operations a weight and token: 3.765 operations a byte and token
    const double weights = 3.0 * 4096 * 2048, intensity = 2.0 * 32 / 17;
    const Machine machine{1e9, 16.5 * intensity * 1e9};
    for (int tokens = 1; tokens <= 64; tokens++) {
        const Limit limit = limit_of({weights * 17 / 32, 2 * weights * tokens}, machine);
        CHECK(limit.is_memory == (tokens <= 16));
        CHECK_CLOSE(limit.seconds, weights * 17 / 32 / 1e9 * (tokens <= 16 ? 1 : tokens / 16.5),
                    2e-17);
    }
}

TEST("the longest part names what bounds a call") {
    CHECK(std::strcmp(bound_of({3, 2, 1}), "memory") == 0);
    CHECK(std::strcmp(bound_of({2, 3, 1}), "compute") == 0);
    CHECK(std::strcmp(bound_of({1, 1, 2}), "hand-off") == 0);
    CHECK(std::strcmp(bound_of({1, 1, 1}), "memory") == 0);
}
