// Snapshots of random cache rows: a session reaches any context in the time of a copy.
#pragma once
#include <cstdint>
#include <vector>

#include "ds4.h"
#include "model/shape.h"

namespace ds4::bench {

// A snapshot of n tokens for an engine with packed rows.
std::vector<uint8_t> random_snapshot(ds4_engine *engine, const Shape &shape, uint32_t n);

} // namespace ds4::bench
