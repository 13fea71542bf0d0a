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

    // body(begin, end, worker) for the blocks begin..end-1 of each worker.
    template <typename Body> void shares(int64_t ids, const Body &body) const {
        const int64_t blocks = count(ids);
        if (pool_ == nullptr || blocks < 2 * workers()) {
            body(int64_t(0), blocks, 0);
            return;
        }
        pool_->run([&](int worker, int workers) {
            const WorkRange range = share(blocks, worker, workers);
            body(range.begin, range.end, worker);
        });
    }
    // body(begin, end, block, worker) for every block of `ids` ids.
    template <typename Body> void each(int64_t ids, const Body &body) const {
        shares(ids, [&](int64_t first, int64_t last, int worker) {
            for (int64_t block = first; block < last; block++)
                body(block * kWeightBlock, std::min(ids, (block + 1) * kWeightBlock), block,
                     worker);
        });
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
