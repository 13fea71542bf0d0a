// What the micro-kernels of AVX2 (digit_micro_kernels.h) and AVX-512 (panel_micro_kernels.h) over
// tiles of MXFP4 have in common: blocks of groups, and how they ask for the weights that are read
// later.
#pragma once
#include <xmmintrin.h>

#include "kernels/kernels.h"

namespace ds4::ktb {
namespace { // files with other instruction sets have the same names

constexpr int kTileLines = int(kTileBytes / 64);
constexpr int kBlockGroups = 8; // of a micro-kernel: their tiles stay in L1 for the next one

inline int block_end(const PanelArgs &args, int begin) {
    return begin + kBlockGroups < args.groups ? begin + kBlockGroups : args.groups;
}

// Lines [begin, end) of every tile of a block, which a micro-kernel asks for ahead of their use.
struct Lines {
    int begin, end;
};

// Into L2: it has more misses in flight than L1, whose few would also serve the loads.
inline void prefetch_weights(const uint8_t *line) {
    _mm_prefetch(reinterpret_cast<const char *>(line), _MM_HINT_T1);
}

} // namespace
} // namespace ds4::ktb
