#include "backend/cpu/blocks/indexer.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/assert.h"
#include "format/scalar.h"

namespace ds4::cpu {
namespace {
constexpr int64_t kKeyBlock = 8192;                 // plain keys decoded at a time
constexpr int64_t kTile = 256;                      // keys of one work item, consecutive in memory
constexpr int64_t kChoiceBlock = 16384;             // scores of one work item of a single choice
constexpr int64_t kScoreBudget = int64_t(16) << 20; // floats
} // namespace

int64_t Indexer::queries_per_call(int64_t visible) {
    return std::max<int64_t>(1, kScoreBudget / std::max<int64_t>(1, visible));
}

float Indexer::weight_scale() const {
    const Shape &shape = context_.shape;
    return float(1.0 / std::sqrt(double(shape.index_head_dim) * double(shape.index_heads)));
}

void Indexer::select(const IndexQueries &in, const PagedRows &keys, int64_t begin, int64_t end,
                     int32_t *chosen) {
    DS4_ASSERT(keys.run() % kTile == 0);
    stride_ = visible(in.first + end - 1);
    scores_pointer_ = scores_.get<float>((end - begin) * stride_);
    if (context_.cache.index.storage == RowStorage::packed)
        score_packed(in, keys, begin, end);
    else
        score_plain(in, keys, begin, end);
    choose(in, begin, end, chosen);
}

void Indexer::begin(int64_t rows) {
    if (context_.cache.index.storage != RowStorage::packed) return;
    const int64_t queries = rows * context_.shape.index_heads, dim = context_.shape.index_head_dim,
                  groups = dim / kIndexGroupChannels;
    packed_ = {codes_.get<int8_t>(queries * dim), sums_.get<int32_t>(queries * groups),
               scales_.get<float>(queries * groups), weights_.get<float>(queries)};
}

// The query is rounded to FP4 already, so its codes lose nothing.
void Indexer::pack(int64_t row, int64_t head, const float *query, float weight) {
    const IndexRowFormat &format = context_.cache.index;
    if (format.storage != RowStorage::packed) return;
    const int64_t dim = context_.shape.index_head_dim, groups = dim / kIndexGroupChannels,
                  at = row * context_.shape.index_heads + head;
    std::array<uint8_t, 256> bytes;
    DS4_ASSERT(format.bytes() <= int64_t(bytes.size()));
    format.encode_transformed(query, bytes.data());
    packed_.weights[at] = weight * weight_scale();
    for (int64_t g = 0; g < groups; g++) {
        int8_t *codes = packed_.codes + at * dim + g * kIndexGroupChannels;
        int32_t sum = 0;
        for (int j = 0; j < kIndexGroupChannels / 2; j++) {
            const uint8_t pair = bytes[size_t(g * kIndexGroupChannels / 2 + j)];
            codes[j] = int8_t(e2m1_doubled(pair & 15u));
            codes[kIndexGroupChannels / 2 + j] = int8_t(e2m1_doubled(uint32_t(pair >> 4)));
            sum += codes[j] + codes[kIndexGroupChannels / 2 + j];
        }
        packed_.sums[at * groups + g] = 12 * sum;
        packed_.scales[at * groups + g] = e8m0_as_exponent(bytes[size_t(dim / 2 + g)]) * 0.25f;
    }
}

void Indexer::score_packed(const IndexQueries &in, const PagedRows &keys, int64_t begin,
                           int64_t end) {
    const Shape &shape = context_.shape;
    const int64_t heads = shape.index_heads, dim = shape.index_head_dim,
                  groups = dim / kIndexGroupChannels, queries = end - begin,
                  tiles = (stride_ + kTile - 1) / kTile;
    context_.each(queries * tiles, [&](int64_t item) {
        const int64_t q = item % queries, first = item / queries * kTile;
        const int64_t count = std::min(kTile, visible(in.first + begin + q) - first);
        if (count <= 0) return; // entries that close later
        const int64_t at = (in.first_row + begin + q) * heads;
        const IndexQuery query{int(heads),
                               int(groups),
                               packed_.codes + at * dim,
                               packed_.sums + at * groups,
                               packed_.scales + at * groups,
                               packed_.weights + at};
        context_.cache_kernels.score_index_rows(query, keys.row(first), count,
                                                scores_pointer_ + q * stride_ + first);
    });
}

void Indexer::score_plain(const IndexQueries &in, const PagedRows &keys, int64_t begin,
                          int64_t end) {
    const Shape &shape = context_.shape;
    const int64_t heads = shape.index_heads, dim = shape.index_head_dim, queries = end - begin;
    const float scale = weight_scale();
    for (int64_t base = 0; base < stride_; base += kKeyBlock) {
        const int64_t rows = std::min(kKeyBlock, stride_ - base);
        float *block = keys_.get<float>(rows * dim);
        context_.each(rows, [&](int64_t i) {
            context_.cache.index.decode(keys.row(base + i), block + i * dim);
        });
        const int64_t tiles = (rows + kTile - 1) / kTile;
        context_.each_with_worker(queries * tiles, [&](int64_t item, int worker) {
            const int64_t q = item / tiles, first = item % tiles * kTile;
            const int64_t limit = std::min(rows, visible(in.first + begin + q) -
                                                     base); // causal: entries closed by now
            const int64_t count = std::min(kTile, limit - first);
            if (count <= 0) return;
            float *products = scratch_[size_t(worker)].get<float>(heads * kTile);
            const float *query = in.queries + (begin + q) * heads * dim,
                        *weights = in.weights + (begin + q) * heads;
            context_.vectors.score_rows(products, kTile, query, block + first * dim, heads, count,
                                        dim);
            float *out = scores_pointer_ + q * stride_ + base + first;
            std::fill_n(out, count, 0.0f);
            for (int64_t h = 0; h < heads; h++) {
                const float weight = weights[h] * scale;
                for (int64_t i = 0; i < count; i++)
                    out[i] += weight * std::max(products[h * kTile + i], 0.0f);
            }
        });
    }
}

void Indexer::choose(const IndexQueries &in, int64_t begin, int64_t end, int32_t *chosen) {
    const int64_t queries = end - begin, top_k = context_.shape.index_top_k;
    if (queries == 1 && stride_ > 2 * std::max(kChoiceBlock, top_k))
        return choose_in_blocks(visible(in.first + begin), chosen);
    context_.each_with_worker(queries, [&](int64_t q, int worker) {
        top_[size_t(worker)].choose(scores_pointer_ + q * stride_, visible(in.first + begin + q),
                                    top_k, chosen + q * top_k);
    });
}

// One query: every thread chooses among blocks of scores, and the best of those are chosen again.
void Indexer::choose_in_blocks(int64_t visible, int32_t *chosen) {
    const int64_t top_k = context_.shape.index_top_k, block = std::max(kChoiceBlock, top_k),
                  blocks = (visible + block - 1) / block;
    int32_t *ids = block_ids_.get<int32_t>(blocks * top_k);
    float *best = block_scores_.get<float>(blocks * top_k);
    const auto kept = [&](int64_t b) { return std::min(top_k, visible - b * block); };
    context_.each_with_worker(blocks, [&](int64_t b, int worker) {
        const float *scores = scores_pointer_ + b * block;
        int32_t *of_block = ids + b * top_k;
        top_[size_t(worker)].choose(scores, std::min(block, visible - b * block), kept(b),
                                    of_block);
        for (int64_t i = 0; i < kept(b); i++) {
            best[b * top_k + i] = scores[of_block[i]];
            of_block[i] += int32_t(b * block);
        }
    });
    // All blocks but the last keep top_k, so the candidates lie together, ascending by id.
    top_[0].choose(best, (blocks - 1) * top_k + kept(blocks - 1), top_k, chosen);
    for (int64_t i = 0; i < top_k; i++) chosen[i] = ids[chosen[i]];
}

} // namespace ds4::cpu
