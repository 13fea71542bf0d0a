// The sampling of one request: its settings, and its own generator, so that its n-th draw does not
// depend on other requests.
#pragma once
#include "core/sampling/rng.h"
#include "ds4.h"
#include "sampling/control.h"

namespace ds4 {

class RequestSampling {
  public:
    // Throws DS4_ERR_ARGUMENT for a NaN setting. ds4.h says how out-of-range settings are read.
    explicit RequestSampling(const ds4_sampling &settings);
    // The record of the next token. Draws from the generator unless the choice is greedy.
    SamplingControl next(bool greedy);
    // Takes the last call of next() back: its token was not made, and the next call repeats it.
    void undo() { rng_ = before_; }
    Rng &rng() { return rng_; }

  private:
    SamplingControl settings_;
    Rng rng_, before_;
};

} // namespace ds4
