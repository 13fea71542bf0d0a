// Orders logits from the largest to the smallest; equal logits by ascending id. A key is the
// logit's bits in descending order above the id, so that sorting keys needs no comparison of
// floats.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ds4 {

struct LogitOrder {
    static uint64_t key(float logit, int64_t id);
    static int32_t id(uint64_t key) { return int32_t(uint32_t(key)); }

    // Cuts keys to the first `count` of their order, which then are in any order.
    static void cut(std::vector<uint64_t> &keys, size_t count);
};

} // namespace ds4
