#include "sampling/logit_order.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

namespace ds4 {

// Below this number of keys a comparison sort is faster than a counting sort.
static constexpr size_t kRadixFrom = 2048;

uint64_t LogitOrder::key(float logit, int64_t id) {
    const uint32_t bits = std::bit_cast<uint32_t>(logit == 0.0f ? 0.0f : logit); // -0 equals 0
    const uint32_t descending = (bits & 0x80000000u) != 0 ? bits : ~bits & 0x7fffffffu;
    return uint64_t(descending) << 32 | uint64_t(id);
}

void LogitOrder::sort(std::vector<uint64_t> &keys) {
    if (keys.size() < kRadixFrom)
        std::sort(keys.begin(), keys.end());
    else
        radix_sort(keys);
}

std::span<const uint64_t> LogitOrder::sort_top(std::span<const float> logits, uint32_t count) {
    keys_.clear();
    // The last kept logit: no smaller one can be among the first, nor an equal one of a later id.
    float worst = -std::numeric_limits<float>::infinity();
    const auto cut = [&] {
        std::nth_element(keys_.begin(), keys_.begin() + count - 1, keys_.end());
        keys_.resize(count);
        worst = logits[size_t(id(keys_[count - 1]))];
    };
    for (size_t id = 0; id < logits.size(); id++) {
        if (!(logits[id] > worst) || !std::isfinite(logits[id])) continue;
        keys_.push_back(key(logits[id], int64_t(id)));
        if (keys_.size() >= size_t(count) * 4) cut();
    }
    if (keys_.size() > count) cut();
    std::sort(keys_.begin(), keys_.end());
    return keys_;
}

// Sorts by the logit half of the keys, least significant digit first. The sort is stable and the
// ids come in ascending order, so equal logits keep that order.
void LogitOrder::radix_sort(std::vector<uint64_t> &keys) {
    constexpr int kDigits = 3, kBits = 11;
    constexpr uint32_t kMask = (1u << kBits) - 1;
    std::array<std::array<uint32_t, 1u << kBits>, kDigits> begins{};
    for (const uint64_t key : keys) {
        for (int digit = 0; digit < kDigits; digit++)
            begins[size_t(digit)][key >> (32 + digit * kBits) & kMask]++;
    }
    spare_.resize(keys.size());
    for (int digit = 0; digit < kDigits; digit++) {
        uint32_t begin = 0;
        for (uint32_t &count : begins[size_t(digit)]) begin += std::exchange(count, begin);
        for (const uint64_t key : keys)
            spare_[begins[size_t(digit)][key >> (32 + digit * kBits) & kMask]++] = key;
        keys.swap(spare_);
    }
}

} // namespace ds4
