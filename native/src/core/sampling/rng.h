// xorshift64* with shifts 12, 25, 27. Each request has its own generator, so that its n-th draw
// does not depend on other requests.
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
    // A seed of 0, the one state that the generator cannot leave, is replaced by
    // 0x9e3779b97f4a7c15.
    explicit Rng(uint64_t seed);
    Draw next();

  private:
    uint64_t state_;
};

} // namespace ds4
