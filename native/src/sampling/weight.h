// The weight of a logit, exp((logit - largest) / temperature), in fixed point. Sums of weights are
// sums of integers: every order of adding, thread count and device gives the same total.
//
// All functions have internal linkage, since files of several instruction sets include them.
#pragma once
#include <cstdint>

#include "base/exp_minus.h"

namespace ds4 {

// A logit this many temperatures below the largest weighs 0.
constexpr float kWeightReach = kExpReach;

// The largest logit weighs 2^40. Truncated; the product is exact. Kernels add two digits of 20
// bits, which is the same.
static inline uint64_t fixed_weight(float weight) { return uint64_t(int64_t(weight * 0x1p40f)); }

} // namespace ds4
