// Test support: one call of many tokens and what the f64 reference makes of it.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "api/test_layer.h"
#include "base/test.h"

namespace ds4::ktb::test {

constexpr int kTokens = ds4::test::kThreadSanitizer ? 47 : 512;
constexpr Shape kShape{6, 3, 256, 1024}; // eight split units: each of eight parts has one

// Expert 5 is never chosen. Some routes are skipped (-1, E, weight 0), and some ids repeat within a
// token.
struct Problem {
    std::vector<CanonicalExpert> experts =
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 11);
    std::vector<float> input = random_values(size_t(kTokens) * size_t(kShape.hidden), 2.0f, 12);
    std::vector<float> weights =
        random_values(size_t(kTokens) * size_t(kShape.experts_per_token), 0.5f, 13);
    std::vector<int32_t> ids;
    std::vector<double> expected;
    Problem() {
        for (int slot = 0; slot < kTokens * kShape.experts_per_token; slot++) {
            const int token = slot / kShape.experts_per_token;
            int id = (slot * 7 + token / 3) % 5;
            if (slot % 11 == 3) id = -1;
            if (slot % 17 == 5) id = kShape.experts;
            if (slot % 13 == 1) weights[size_t(slot)] = 0;
            if (token % 5 == 2) id = 1; // one expert three times
            ids.push_back(id);
        }
        expected = reference_forward(experts, {kShape.hidden, kShape.intermediate, kTokens,
                                               kShape.experts_per_token, input.data(), ids.data(),
                                               weights.data(), 10});
    }
};
inline const Problem &problem() {
    static const Problem made;
    return made;
}

inline double tolerance(const std::string &numerics) {
    return numerics == "int8" ? 2e-2 : numerics == "bf16" ? 5e-3 : 7e-2;
}

} // namespace ds4::ktb::test
