// The best rows by score, in time linear in their number.
#pragma once
#include <cstdint>
#include <vector>

namespace ds4::cpu {

class TopRows {
  public:
    // Ids of the `count` best of n scores, ascending: chosen [count]. Equal scores go to the
    // smaller id, and a NaN counts as minus infinity. n >= count.
    void choose(const float *scores, int64_t n, int64_t count, int32_t *chosen);

  private:
    struct Candidate {
        uint32_t key;
        int32_t id;
    };
    std::vector<Candidate> candidates_; // scratch
};

} // namespace ds4::cpu
