// The tile that a block of attention works on: heads of one query times rows, one row a lane. A
// thread holds 16 pairs of sums, each of two adjacent channels of one head. Pair i begins at
// sum[i / 2][i % 2 * 2].
#pragma once

namespace ds4::kernels {

constexpr int kTileHeads = 16;
constexpr int kTileRows = 32;
constexpr int kPairs = 16;

} // namespace ds4::kernels
