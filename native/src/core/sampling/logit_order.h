// Orders logits from the largest to the smallest; equal logits by ascending id. A key is the
// logit's bits in descending order above the id, so that sorting keys needs no comparison of
// floats.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace ds4 {

class LogitOrder {
  public:
    // Keys of the finite logits of at least `floor`, sorted. [count]
    std::span<const uint64_t> sort(std::span<const float> logits, float floor);
    // The first `count` of that order with no floor, without sorting the others.
    std::span<const uint64_t> sort_top(std::span<const float> logits, uint32_t count);
    static int32_t id(uint64_t key) { return int32_t(uint32_t(key)); }

  private:
    void radix_sort();
    std::vector<uint64_t> keys_, spare_;
};

} // namespace ds4
