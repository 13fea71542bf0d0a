#include "backend/cpu/blocks/indexer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "backend/cpu/blocks/unit_model.h"
#include "backend/cpu/host_memory.h"
#include "base/test.h"

using namespace ds4;
using namespace ds4::cpu;

namespace {

constexpr int64_t kHeads = 16, kDim = 128, kTop = 6;

// Keys of a long context: several pages, several blocks of every loop, and equal rows far apart.
struct LongContext {
    unit::Bench bench;
    Sequence sequence;
    const PagedRows &keys;
    std::vector<float> decoded; // [count, dim]
    std::vector<float> queries, weights;
    int64_t count;

    LongContext(RowStorage storage, int64_t count, int64_t queries_count, int threads)
        : bench(machine::best_isa(), storage, threads),
          sequence(host_pages(bench.context.cache), uint32_t(count * 4)),
          keys(sequence.layer(1).index), count(count) {
        const IndexRowFormat &format = bench.context.cache.index;
        sequence.reserve(uint32_t(count * 4));
        decoded.resize(size_t(count * kDim));
        std::vector<float> x(kDim);
        for (int64_t i = 0; i < count; i++) {
            if (i >= 9000 && i % 3 == 0) { // ties with rows of other pages and blocks
                std::memcpy(keys.row(i), keys.row(i - 9000), size_t(format.bytes()));
            } else {
                for (float &value : x) value = random();
                format.encode(x.data(), keys.row(i));
            }
            format.decode(keys.row(i), decoded.data() + i * kDim);
        }
        for (int64_t i = 0; i < queries_count * kHeads; i++) {
            for (float &value : x) value = random();
            if (storage == RowStorage::packed) round_index_row(x.data(), int(kDim));
            queries.insert(queries.end(), x.begin(), x.end());
            weights.push_back(random());
        }
    }
    double exact(int64_t query, int64_t key) const {
        double score = 0.0;
        for (int64_t h = 0; h < kHeads; h++) {
            double dot = 0.0;
            for (int64_t d = 0; d < kDim; d++)
                dot += double(queries[size_t((query * kHeads + h) * kDim + d)]) *
                       decoded[size_t(key * kDim + d)];
            score += double(weights[size_t(query * kHeads + h)]) * std::max(dot, 0.0);
        }
        return score / std::sqrt(double(kDim * kHeads));
    }

  private:
    float random() {
        state_ = state_ * 1664525u + 1013904223u;
        return float(int32_t(state_)) * 0x1p-31f;
    }
    uint32_t state_ = 5;
};

// The best by the indexer's own scores, by definition: a stable sort keeps the smaller id first.
std::vector<int32_t> best(const float *scores, int64_t visible) {
    std::vector<int32_t> order(static_cast<size_t>(visible));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return scores[a] > scores[b]; });
    order.resize(size_t(kTop));
    std::sort(order.begin(), order.end());
    return order;
}

void check(RowStorage storage, int64_t first, int64_t queries, int threads) {
    const int64_t visible = Indexer::visible(first + queries - 1);
    LongContext c(storage, visible, queries, threads);
    Indexer indexer(c.bench.context);
    std::vector<int32_t> chosen(size_t(queries * kTop), -1);
    indexer.begin(queries + 3); // rows of other sequences come first
    for (int64_t i = 0; i < queries * kHeads; i++)
        indexer.pack(3 + i / kHeads, i % kHeads, c.queries.data() + i * kDim, c.weights[size_t(i)]);
    indexer.select({first, queries, 3, c.queries.data(), c.weights.data()}, c.keys, 0, queries,
                   chosen.data());
    for (int64_t q = 0; q < queries; q++) {
        const int64_t seen = Indexer::visible(first + q);
        const float *scores = indexer.scores(q);
        for (int64_t key = q; key < seen; key += 97)
            CHECK_CLOSE(scores[key], c.exact(q, key), 2.1e-7);
        CHECK_CLOSE(scores[seen - 1], c.exact(q, seen - 1), 1.1e-7);
        const std::vector<int32_t> expected = best(scores, seen);
        CHECK(std::equal(expected.begin(), expected.end(), chosen.begin() + q * kTop));
    }
}

} // namespace

TEST("the indexer scores and chooses among 45000 keys as the definition does, on any threads") {
    for (const RowStorage storage : {RowStorage::packed, RowStorage::f32})
        for (const int threads : {1, 3}) check(storage, 180'003, 1, threads);
}

TEST("queries of one call see only the entries that are closed at their positions") {
    for (const RowStorage storage : {RowStorage::packed, RowStorage::f32}) {
        check(storage, 60, 9, 2);
        check(storage, 40'000, 9, 2);
    }
}
