#include "experts/forward/sum_tree.h"

namespace ds4::ktb {

std::vector<SumNode> sum_nodes(int begin, int end) {
    std::vector<SumNode> nodes;
    while (begin < end) {
        int level = 0;
        while ((begin >> level) % 2 == 0 && begin + (2 << level) <= end) level++;
        nodes.push_back({begin, level});
        begin += 1 << level;
    }
    return nodes;
}

int sum_levels(int chunks) {
    int levels = 0;
    while (1 << levels < chunks) levels++;
    return levels;
}

} // namespace ds4::ktb
