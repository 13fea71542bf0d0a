// CacheKernels for vectors of any width. The namespace is unnamed because each file that includes
// this is compiled for its own CPU.
#pragma once
#include "backend/cpu/kernels/cache_kernels.h"
#include "format/scalar.h"

namespace ds4::cpu {
namespace {

constexpr int kGroupWords = 4;     // 4-byte words of a group's 16 code bytes
constexpr int kMaxIndexGroups = 8; // of the rows held in one block
constexpr int kHeadsAtOnce = 4;
constexpr int kRowsAhead = 2;        // vectors of rows between a prefetch and its use
constexpr int kKvScaleChannels = 64; // channels of a KV row that share a scale

// The rows of one vector, channel by channel: word w of group g of every row, as code + 12.
template <typename Ops> struct KeyBlock {
    typename Ops::Integers even[kMaxIndexGroups][kGroupWords], odd[kMaxIndexGroups][kGroupWords];
    typename Ops::Lanes scales[kMaxIndexGroups];
};

// Rows past `count` repeat the last one.
template <typename Ops>
inline void load_keys(KeyBlock<Ops> &keys, const uint8_t *rows, int64_t count, int groups) {
    const int64_t code_bytes = int64_t(groups) * kIndexGroupChannels / 2,
                  row_bytes = code_bytes + groups;
    const uint8_t *row[Ops::kWidth];
    for (int i = 0; i < Ops::kWidth; i++) {
        row[i] = rows + (i < count ? i : count - 1) * row_bytes;
        __builtin_prefetch(rows + (i + kRowsAhead * Ops::kWidth) * row_bytes);
    }
    for (int g = 0; g < groups; g++) {
        alignas(64) float scales[Ops::kWidth];
        for (int i = 0; i < Ops::kWidth; i++) scales[i] = e8m0_as_exponent(row[i][code_bytes + g]);
        keys.scales[g] = Ops::load(scales);
        typename Ops::Integers words[kGroupWords];
        Ops::load_words(words, row, g * kIndexGroupChannels / 2);
        for (int w = 0; w < kGroupWords; w++) {
            keys.even[g][w] = Ops::shifted_codes(words[w]);
            keys.odd[g][w] = Ops::shifted_codes(Ops::high_nibbles(words[w]));
        }
    }
}

// H heads times all keys of a block; adds their weighted products to `score`, in order.
template <typename Ops, int H>
inline typename Ops::Lanes score_heads_of(const IndexQuery &query, int head,
                                          const KeyBlock<Ops> &keys, typename Ops::Lanes score) {
    typename Ops::Lanes sums[H];
    for (int h = 0; h < H; h++) sums[h] = Ops::zero();
    for (int g = 0; g < query.groups; g++) {
        typename Ops::Integers even[H], odd[H];
        for (int h = 0; h < H; h++) even[h] = odd[h] = Ops::no_products();
        const int64_t at = int64_t(head) * query.groups + g;
        const int8_t *codes = query.codes + at * kIndexGroupChannels;
#pragma GCC unroll 4
        for (int w = 0; w < kGroupWords; w++)
#pragma GCC unroll 4
            for (int h = 0; h < H; h++) {
                const int8_t *of_head = codes + h * query.groups * kIndexGroupChannels + w * 4;
                even[h] = Ops::add_products(even[h], keys.even[g][w], of_head);
                odd[h] =
                    Ops::add_products(odd[h], keys.odd[g][w], of_head + kIndexGroupChannels / 2);
            }
#pragma GCC unroll 4
        for (int h = 0; h < H; h++) {
            const int64_t of_head = at + h * query.groups;
            const typename Ops::Lanes dot = Ops::difference(even[h], odd[h], query.sums[of_head]);
            // Both scales are powers of two, so only the addition rounds.
            const typename Ops::Lanes product =
                Ops::multiply(Ops::multiply(dot, Ops::all(query.scales[of_head])), keys.scales[g]);
            sums[h] = Ops::add(sums[h], product);
        }
    }
    for (int h = 0; h < H; h++)
        score = Ops::add(
            score, Ops::multiply(Ops::all(query.weights[head + h]), Ops::not_negative(sums[h])));
    return score;
}

template <typename Ops>
void score_index_rows(const IndexQuery &query, const uint8_t *rows, int64_t count, float *scores) {
    if (query.groups > kMaxIndexGroups)
        return kCacheKernelsGeneric.score_index_rows(query, rows, count, scores);
    const int64_t row_bytes = int64_t(query.groups) * (kIndexGroupChannels / 2 + 1);
    KeyBlock<Ops> keys;
    for (int64_t i = 0; i < count; i += Ops::kWidth) {
        load_keys<Ops>(keys, rows + i * row_bytes, count - i, query.groups);
        typename Ops::Lanes score = Ops::zero();
        int head = 0;
        for (; head + kHeadsAtOnce <= query.heads; head += kHeadsAtOnce)
            score = score_heads_of<Ops, kHeadsAtOnce>(query, head, keys, score);
        for (; head < query.heads; head++) score = score_heads_of<Ops, 1>(query, head, keys, score);
        alignas(64) float out[Ops::kWidth];
        Ops::store(out, score);
        for (int k = 0; k < Ops::kWidth && i + k < count; k++) scores[i + k] = out[k];
    }
}

template <typename Ops>
void decode_kv_row(const KvRowFormat &format, const uint8_t *row, float *x) {
    const int codes = format.channels - format.rotary;
    if (format.storage != RowStorage::packed || codes % kKvScaleChannels != 0 ||
        format.rotary % Ops::kWidth != 0)
        return format.decode(row, x);
    const uint8_t *tail = row + format.bytes() - format.rotary * 2;
    for (int g = 0; g < codes / kKvScaleChannels; g++) {
        const typename Ops::Lanes scale = Ops::all(e8m0_to_f32(row[codes + g]));
#pragma GCC unroll 8
        for (int i = 0; i < kKvScaleChannels; i += Ops::kWidth) {
            const int at = g * kKvScaleChannels + i;
            Ops::store(x + at, Ops::multiply(Ops::e4m3_values(row + at), scale));
        }
    }
    for (int i = 0; i < format.rotary; i += Ops::kWidth)
        Ops::store(x + codes + i, Ops::bf16_values(tail + i * 2));
}

} // namespace
} // namespace ds4::cpu
