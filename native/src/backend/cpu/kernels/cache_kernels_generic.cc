#include "backend/cpu/kernels/cache_kernels.h"
#include "format/scalar.h"

namespace ds4::cpu {
namespace {

float head_product(const IndexQuery &query, int head, const uint8_t *row, const uint8_t *scales) {
    float sum = 0.0f;
    for (int g = 0; g < query.groups; g++) {
        const int64_t at = int64_t(head) * query.groups + g;
        const int8_t *codes = query.codes + at * kIndexGroupChannels;
        int32_t dot = 0;
        for (int i = 0; i < kIndexGroupChannels / 2; i++) {
            const uint8_t pair = row[g * kIndexGroupChannels / 2 + i];
            dot += codes[i] * e2m1_doubled(pair & 15u);
            dot += codes[kIndexGroupChannels / 2 + i] * e2m1_doubled(uint32_t(pair >> 4));
        }
        // Both scales are powers of two, so only the addition rounds.
        sum += float(dot) * query.scales[at] * e8m0_as_exponent(scales[g]);
    }
    return sum;
}

void score_index_rows(const IndexQuery &query, const uint8_t *rows, int64_t count, float *scores) {
    const int64_t code_bytes = int64_t(query.groups) * kIndexGroupChannels / 2;
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *row = rows + i * (code_bytes + query.groups);
        float score = 0.0f;
        for (int h = 0; h < query.heads; h++) {
            const float product = head_product(query, h, row, row + code_bytes);
            score += query.weights[h] * (product > 0.0f ? product : 0.0f);
        }
        scores[i] = score;
    }
}

void decode_kv_row(const KvRowFormat &format, const uint8_t *row, float *x) {
    format.decode(row, x);
}

} // namespace

const CacheKernels kCacheKernelsGeneric = {score_index_rows, decode_kv_row};

} // namespace ds4::cpu
