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
    static uint64_t key(float logit, int64_t id);
    static int32_t id(uint64_t key) { return int32_t(uint32_t(key)); }

    // Sorts keys that came in ascending order of their ids.
    void sort(std::vector<uint64_t> &keys);
    // The first `count` keys of the finite logits, sorted, without sorting the others.
    std::span<const uint64_t> sort_top(std::span<const float> logits, uint32_t count);

  private:
    void radix_sort(std::vector<uint64_t> &keys);
    std::vector<uint64_t> keys_, spare_;
};

} // namespace ds4
