// The order in which the products of an expert's intermediate channels are added.
//
// A chunk of 128 channels is one chain of products from zero. Chunks are the leaves of a binary
// tree. Node (first, level) covers chunks first .. first + 2^level - 1. Its sum is that of its left
// half plus that of its right half, without chunks beyond the last one. The owner of a range of
// chunks (a part, a worker) sums the largest nodes inside it. The rest of the tree is summed when
// all are there. So the sum has the same bits however the chunks were divided.
#pragma once
#include <vector>

namespace ds4::ktb {

struct SumNode {
    int first; // chunk, a multiple of 2^level
    int level;
    int chunks() const { return 1 << level; }
};

// The largest nodes that cover chunks [begin, end) exactly, in order.
std::vector<SumNode> sum_nodes(int begin, int end);
// Whether `right` is the right half of the node whose left half is `left`.
inline bool halves_of_one(const SumNode &left, const SumNode &right) {
    return left.level == right.level && left.first + left.chunks() == right.first &&
           (left.first >> left.level) % 2 == 0;
}
// Levels above the leaves of a tree over `chunks`.
int sum_levels(int chunks);

} // namespace ds4::ktb
