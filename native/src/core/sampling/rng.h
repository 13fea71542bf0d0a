// xorshift64*: shifts 12, 25, 27. One generator per request, so that its n-th draw does not depend
// on neighbours.
#pragma once
#include <cstdint>

namespace ds4 {

class Rng {
  public:
    struct Draw {
        uint64_t state;
        uint64_t word;
        float uniform; // top 24 bits of word / 2^24, in [0, 1)
    };
    // 0 is the one state the generator cannot leave: it is replaced by 0x9e3779b97f4a7c15.
    explicit Rng(uint64_t seed);
    Draw next();

  private:
    uint64_t state_;
};

} // namespace ds4
