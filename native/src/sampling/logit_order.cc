#include "sampling/logit_order.h"

#include <algorithm>
#include <bit>

namespace ds4 {

uint64_t LogitOrder::key(float logit, int64_t id) {
    const uint32_t bits = std::bit_cast<uint32_t>(logit == 0.0f ? 0.0f : logit); // -0 equals 0
    const uint32_t descending = (bits & 0x80000000u) != 0 ? bits : ~bits & 0x7fffffffu;
    return uint64_t(descending) << 32 | uint64_t(id);
}

void LogitOrder::cut(std::vector<uint64_t> &keys, size_t count) {
    if (keys.size() <= count) return;
    std::nth_element(keys.begin(), keys.begin() + std::ptrdiff_t(count), keys.end());
    keys.resize(count);
}

} // namespace ds4
