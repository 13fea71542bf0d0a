#include "backend/cpu/blocks/indexer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ds4::cpu {
namespace {
constexpr int64_t kKeyBlock = 8192;                 // keys decoded at a time
constexpr int64_t kTile = 256;                      // keys of one work item
constexpr int64_t kScoreBudget = int64_t(16) << 20; // floats
} // namespace

int64_t Indexer::queries_per_call(int64_t last_position) const {
    return std::max<int64_t>(1, kScoreBudget / std::max<int64_t>(1, visible(last_position)));
}

void Indexer::select(const IndexQueries &in, const RowPages &keys, int64_t begin, int64_t end,
                     int32_t *chosen) {
    const Shape &shape = context_.shape;
    const int64_t heads = shape.index_heads, dim = shape.index_head_dim, queries = end - begin;
    stride_ = visible(in.first + end - 1);
    float *scores = scores_.get<float>(queries * stride_);
    scores_pointer_ = scores;
    const float scale = float(1.0 / std::sqrt(double(dim) * double(heads)));
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
            float *out = scores + q * stride_ + base + first;
            std::fill_n(out, count, 0.0f);
            for (int64_t h = 0; h < heads; h++) {
                const float weight = weights[h] * scale;
                for (int64_t i = 0; i < count; i++)
                    out[i] += weight * std::max(products[h * kTile + i], 0.0f);
            }
        });
    }
    context_.each_with_worker(queries, [&](int64_t q, int worker) {
        choose(scores + q * stride_, visible(in.first + begin + q), chosen + q * shape.index_top_k,
               order_[size_t(worker)]);
    });
}

void Indexer::choose(const float *scores, int64_t visible, int32_t *chosen,
                     std::vector<int32_t> &order) const {
    const int64_t top_k = context_.shape.index_top_k;
    order.resize(size_t(visible));
    std::iota(order.begin(), order.end(), 0);
    // Equal scores go to the smaller index; a NaN never wins.
    const auto better = [scores](int32_t a, int32_t b) {
        const float x = std::isnan(scores[a]) ? -INFINITY : scores[a],
                    y = std::isnan(scores[b]) ? -INFINITY : scores[b];
        return x != y ? x > y : a < b;
    };
    std::nth_element(order.begin(), order.begin() + (top_k - 1), order.end(), better);
    std::copy_n(order.begin(), top_k, chosen);
    std::sort(chosen, chosen + top_k);
}

} // namespace ds4::cpu
