// Passes over a row of logits in blocks of ids, spread over threads where there are some. A pass
// leaves one value a block, and these are put together in order.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/thread_pool.h"
#include "sampling/weight_kernels.h"

namespace ds4 {

class RowBlocks {
  public:
    // pool: null for the caller's thread alone.
    explicit RowBlocks(ThreadPool *pool = nullptr) : pool_(pool) {}

    static int64_t count(int64_t ids) { return (ids + kWeightBlock - 1) / kWeightBlock; }
    int workers() const { return pool_ == nullptr ? 1 : pool_->threads(); }

    // body(begin, end, block, worker) for every block of `ids` ids.
    template <typename Body> void each(int64_t ids, const Body &body) const {
        const int64_t blocks = count(ids);
        const auto some = [&](int worker, int workers) {
            const WorkRange range = share(blocks, worker, workers);
            for (int64_t block = range.begin; block < range.end; block++)
                body(block * kWeightBlock, std::min(ids, (block + 1) * kWeightBlock), block,
                     worker);
        };
        if (pool_ == nullptr || blocks < 2 * workers())
            some(0, 1);
        else
            pool_->run(some);
    }
    // value(begin, end) of every block, in order. Valid until the next pass.
    template <typename T, typename Value>
    const std::vector<T> &values(int64_t ids, std::vector<T> &out, const Value &value) const {
        out.resize(size_t(count(ids)));
        each(ids, [&](int64_t begin, int64_t end, int64_t block, int) {
            out[size_t(block)] = value(begin, end);
        });
        return out;
    }

  private:
    ThreadPool *pool_;
};

} // namespace ds4
