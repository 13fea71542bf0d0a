// Work on the rows of a product as soon as they are there, by the thread that computes the last of
// them. It saves a parallel region of its own.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace ds4::cpu {

// Up to so many tokens a region costs more than one thread's work on a group of all of them.
constexpr int64_t kEpilogueTokens = 8;

class Epilogue {
  public:
    // rows: result rows of a group, such as a head. finish(group) runs once, for all tokens, when
    // the group's rows of every product that names this epilogue are computed. It may throw.
    Epilogue(int64_t rows, std::function<void(int64_t group)> finish)
        : rows_(rows), finish_(std::move(finish)) {}

    // Announces a product of so many rows, before any thread runs.
    void expect(int64_t rows) {
        if (std::vector<std::atomic<int64_t>> more(size_t((rows + rows_ - 1) / rows_));
            more.size() > missing_.size()) {
            for (size_t i = 0; i < missing_.size(); i++) more[i].store(missing_[i].load());
            missing_.swap(more);
        }
        each_part(0, rows, [&](std::atomic<int64_t> &missing, int64_t, int64_t part) {
            missing.fetch_add(part, std::memory_order_relaxed);
        });
    }
    // Threads: any. The rows begin..end-1 of one product are computed.
    void done(int64_t begin, int64_t end) {
        each_part(begin, end, [&](std::atomic<int64_t> &missing, int64_t group, int64_t part) {
            if (missing.fetch_sub(part, std::memory_order_acq_rel) == part) finish_(group);
        });
    }

  private:
    template <typename Body> void each_part(int64_t begin, int64_t end, const Body &body) {
        for (int64_t group = begin / rows_; group * rows_ < end; group++) {
            const int64_t first = group * rows_ < begin ? begin : group * rows_,
                          last = (group + 1) * rows_ > end ? end : (group + 1) * rows_;
            body(missing_[size_t(group)], group, last - first);
        }
    }

    int64_t rows_;
    std::function<void(int64_t)> finish_;
    std::vector<std::atomic<int64_t>> missing_; // rows of each group
};

} // namespace ds4::cpu
