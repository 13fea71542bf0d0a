// The middle of measured values.
#pragma once
#include <algorithm>
#include <vector>

namespace ds4::bench {

// values is not empty.
inline double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

} // namespace ds4::bench
