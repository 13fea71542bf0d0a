// The positions at which a job's session is marked: behind given tokens of the prompt, and at the
// multiples of an interval.
#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace ds4 {

class MarkPlan {
  public:
    static constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();

    // begin: position of the session before the prompt. offsets: numbers of prompt tokens,
    // ascending, >= 1. interval: 0 for none.
    MarkPlan(uint64_t begin, std::vector<uint32_t> offsets, uint32_t interval)
        : begin_(begin), offsets_(std::move(offsets)), interval_(interval) {}

    // The first position past this one at which a mark is due, or kNever.
    uint64_t next(uint64_t position) const {
        const uint64_t multiple = interval_ == 0 ? kNever : (position / interval_ + 1) * interval_;
        const auto offset =
            std::upper_bound(offsets_.begin(), offsets_.end(), position,
                             [this](uint64_t at, uint32_t each) { return at < begin_ + each; });
        return offset == offsets_.end() ? multiple : std::min(multiple, begin_ + *offset);
    }
    // Whether a mark is due at this position; none is at the begin.
    bool is_due(uint64_t position) const {
        return position > begin_ && next(position - 1) == position;
    }

  private:
    uint64_t begin_;
    std::vector<uint32_t> offsets_;
    uint32_t interval_;
};

} // namespace ds4
