// Blocks of groups and prefetching, which the micro-kernels of AVX2 (digit_micro_kernels.h) and
// AVX-512 (panel_micro_kernels.h) over tiles of MXFP4 share.
#pragma once
#include <xmmintrin.h>

#include "kernels/kernels.h"

namespace ds4::ktb {
namespace { // files of other instruction sets have functions of the same names

constexpr int kTileLines = int(kTileBytes / 64);
constexpr int kBlockGroups = 8; // groups of one call; their tiles stay in L1 for the next call

inline int block_end(const PanelArgs &args, int begin) {
    return begin + kBlockGroups < args.groups ? begin + kBlockGroups : args.groups;
}

// Cache lines [begin, end) of every tile of a block, which one micro-kernel prefetches.
struct Lines {
    int begin, end;
};

// Prefetches into L2, which has more misses in flight than L1. The few of L1 would also serve the
// loads.
inline void prefetch_weights(const uint8_t *line) {
    _mm_prefetch(reinterpret_cast<const char *>(line), _MM_HINT_T1);
}

} // namespace
} // namespace ds4::ktb
