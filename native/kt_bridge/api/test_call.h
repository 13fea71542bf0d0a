// Test support: the arguments of one call on a small layer, and texts of errors.
#pragma once
#include <string>
#include <vector>

#include "api/test_layer.h"

namespace ds4::ktb::test {

constexpr Shape kCallShape{4, 2, 256, 256};

struct TwentyTokenCall {
    std::vector<float> input = random_values(20u * 256, 1.0f, 31),
                       weights = std::vector<float>(40, 0.5f);
    std::vector<int32_t> ids;
    TwentyTokenCall() {
        for (int slot = 0; slot < 40; slot++) ids.push_back(slot % 4);
    }
};

inline std::string error_of(const char *options) {
    ktb_engine_t engine = ktb_engine_create_json(options);
    const std::string text = ktb_last_error();
    ktb_engine_destroy(engine);
    return engine == nullptr ? text : "created";
}

inline bool contains(const std::string &text, const char *part) {
    return text.find(part) != std::string::npos;
}

} // namespace ds4::ktb::test
