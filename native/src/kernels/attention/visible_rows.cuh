// The rows that a query sees, in the order of their sums: window rows from the oldest, then
// compressed entries. They are divided into splits at fixed places, so that a query's sums do not
// depend on how many blocks share them.
#pragma once
#include "device/kernel.h"
#include "kernels/attention/attention.h"

namespace ds4::kernels {

using namespace device;

constexpr int kFineRows = 64;     // of a split, for window rows and the first entries
constexpr int kFineEntries = 512; // entries in fine splits
constexpr int kCoarseRows = 256;  // of a split of later entries
static_assert(kFineEntries % kFineRows == 0);

__host__ __device__ inline int window_splits(int64_t rows) {
    return int((rows + kFineRows - 1) / kFineRows);
}
__host__ __device__ inline int entry_splits(int64_t entries) {
    const int64_t fine = entries < kFineEntries ? entries : kFineEntries;
    return int((fine + kFineRows - 1) / kFineRows +
               (entries - fine + kCoarseRows - 1) / kCoarseRows);
}
// The most that any row of the step has.
__host__ __device__ inline int most_splits(const AttendParams &p) {
    const int64_t entries = p.ratio == 0              ? 0
                            : p.chosen == nullptr     ? p.max_visible
                            : p.max_visible < p.top_k ? p.max_visible
                                                      : p.top_k;
    return window_splits(p.sliding_window) + entry_splits(entries);
}

constexpr int kNoSplit = -1;

struct Split {
    bool is_window;
    int32_t begin, end; // window rows or entries of the query
};

// Plain data, so that a block can share it. Every call takes the params that it was found with.
class VisibleRows {
  public:
    // row: of the step, not a padded one.
    __device__ void find(const AttendParams &p, int64_t row) {
        const SequenceEntry &entry = p.step.sequences[p.step.row_sequence[row]];
        const int32_t position = p.step.row_position[row];
        start_ = entry.position, first_row_ = entry.first_row;
        recent_ = entry.recent + p.window.offset, pages_ = entry.pages;
        oldest_ = max(0, position - (p.sliding_window - 1));
        in_window_ = position - oldest_ + 1;
        chosen_ = p.chosen == nullptr ? nullptr : p.chosen + row * p.top_k;
        if (p.ratio == 0)
            entries_ = 0;
        else
            entries_ = p.chosen == nullptr ? (position + 1) / p.ratio : p.chosen_counts[row];
    }

    // Splits of window rows come first; those past the query's own are empty.
    __device__ Split split(const AttendParams &p, int index) const {
        const int in_window = window_splits(p.sliding_window);
        if (index < in_window) return clip(true, index * kFineRows, kFineRows, in_window_);
        constexpr int kFine = kFineEntries / kFineRows;
        const int32_t at = index - in_window;
        if (at < kFine) return clip(false, at * kFineRows, kFineRows, entries_);
        return clip(false, kFineEntries + (at - kFine) * kCoarseRows, kCoarseRows, entries_);
    }
    // The next split that is not empty. The first one, 0, never is.
    __device__ int next_split(const AttendParams &p, int index) const {
        const int in_window = window_splits(p.sliding_window);
        index++;
        if (index * kFineRows < in_window_ && index < in_window) return index;
        index = max(index, in_window);
        return index < in_window + entry_splits(entries_) ? index : kNoSplit;
    }

    __device__ const uint8_t *row(const AttendParams &p, bool is_window, int32_t index) const {
        if (!is_window) return entry_row(p, index);
        const int32_t position = oldest_ + index;
        if (position >= start_)
            return p.kv_rows + int64_t(first_row_ + position - start_) * p.format.bytes;
        return recent_ + int64_t(position % p.window.slots) * p.window.row_bytes;
    }

  private:
    __device__ static Split clip(bool is_window, int32_t begin, int32_t rows, int32_t end) {
        return {is_window, begin, min(begin + rows, end)};
    }
    __device__ const uint8_t *entry_row(const AttendParams &p, int32_t index) const {
        const int32_t entry = chosen_ == nullptr ? index : chosen_[index];
        const int32_t in_page = entry & ((1 << p.entries.shift) - 1);
        return pages_[entry >> p.entries.shift] + p.entries.offset +
               int64_t(in_page) * p.entries.row_bytes;
    }

    int32_t start_, first_row_, oldest_, in_window_, entries_;
    const uint8_t *recent_;
    uint8_t *const *pages_;
    const int32_t *chosen_;
};

} // namespace ds4::kernels
