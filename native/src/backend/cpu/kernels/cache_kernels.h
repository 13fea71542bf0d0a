// Reading packed cache rows: scores of index rows by exact integer products, and decoding of KV
// rows. Every instruction set gives the same bits. Plain declarations only: files of one
// instruction set include this.
#pragma once
#include <cstdint>

#include "kv/row_formats.h"
#include "machine/instruction_sets.h"

namespace ds4::cpu {

constexpr int kIndexGroupChannels = 32; // channels of an index row that share a scale

// One query of the indexer. FP4 codes are doubled, which makes them integers from -12 to 12.
struct IndexQuery {
    int heads, groups;   // groups of 32 channels
    const int8_t *codes; // [heads, groups, 32]: the even channels of a group, then the odd ones
    const int32_t *sums; // [heads, groups]: 12 times the sum of a group's codes
    const float
        *scales; // [heads, groups]: a quarter of the scale, for codes that are doubled twice
    const float *weights; // [heads]
};

struct CacheKernels {
    // scores[i] = sum over heads of weight * max(0, query . row i), for `count` consecutive packed
    // index rows. A head's product adds its groups in order, a score its heads in order.
    void (*score_index_rows)(const IndexQuery &query, const uint8_t *rows, int64_t count,
                             float *scores);
    // x: [channels] of a packed KV row.
    void (*decode_kv_row)(const KvRowFormat &format, const uint8_t *row, float *x);
};

extern const CacheKernels kCacheKernelsGeneric, kCacheKernelsAvx2, kCacheKernelsAvx512;
const CacheKernels &cache_kernels(Isa isa);

} // namespace ds4::cpu
