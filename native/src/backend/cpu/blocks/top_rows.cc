#include "backend/cpu/blocks/top_rows.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace ds4::cpu {
namespace {

constexpr int kBinShift = 20; // bins by sign, exponent and three bits of the mantissa
constexpr uint32_t kBins = 1u << (32 - kBinShift);

// Grows with the score. Both zeros are equal, and a NaN is minus infinity.
uint32_t order_key(float score) {
    if (std::isnan(score)) score = -INFINITY;
    const uint32_t bits = std::bit_cast<uint32_t>(score + 0.0f);
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

} // namespace

void TopRows::choose(const float *scores, int64_t n, int64_t count, int32_t *chosen) {
    uint32_t bins[kBins] = {};
    for (int64_t i = 0; i < n; i++) bins[order_key(scores[i]) >> kBinShift]++;
    // The last place falls into `bin`; `above` scores have keys over it.
    uint32_t bin = kBins - 1;
    int64_t above = 0;
    while (above + bins[bin] < count) above += bins[bin--];
    candidates_.clear();
    int64_t taken = 0;
    for (int64_t i = 0; i < n; i++) {
        const uint32_t key = order_key(scores[i]);
        if (key >> kBinShift > bin)
            chosen[taken++] = int32_t(i);
        else if (key >> kBinShift == bin)
            candidates_.push_back({key, int32_t(i)});
    }
    const int64_t wanted = count - above;
    if (wanted < int64_t(candidates_.size()))
        std::nth_element(candidates_.begin(), candidates_.begin() + wanted, candidates_.end(),
                         [](const Candidate &a, const Candidate &b) {
                             return a.key != b.key ? a.key > b.key : a.id < b.id;
                         });
    for (int64_t i = 0; i < wanted; i++) chosen[taken++] = candidates_[size_t(i)].id;
    std::sort(chosen, chosen + count);
}

} // namespace ds4::cpu
