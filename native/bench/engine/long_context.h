// Snapshots of random cache rows: a session reaches any context in the time of a copy.
#pragma once
#include <cstdint>
#include <vector>

#include "model/shape.h"

namespace ds4::bench {

// A snapshot of n tokens for an engine with packed rows.
std::vector<uint8_t> random_snapshot(const Shape &shape, uint32_t n);

} // namespace ds4::bench
