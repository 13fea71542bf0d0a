#include "core/sampling/rng.h"

namespace ds4 {

Rng::Rng(uint64_t seed) : state_(seed == 0 ? 0x9e3779b97f4a7c15ull : seed) {}

Rng::Draw Rng::next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    const uint64_t word = state_ * 0x2545f4914f6cdd1dull;
    return {state_, word, float(word >> 40) * 0x1p-24f};
}

} // namespace ds4
