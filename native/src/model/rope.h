// Rotary embedding of the last rope_dim channels of a vector, adjacent channels paired
// (docs/numerics.md#rope).
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "model/shape.h"

namespace ds4 {

class Rope {
  public:
    // compressed: true for layers with a compressor (YaRN over compress_rope_theta), false for the
    // others.
    Rope(const Shape &shape, bool compressed);
    // Takes given frequencies, [rope_dim / 2]. Tests use the recorded table of a reference, which
    // may differ in the last place.
    explicit Rope(std::vector<float> frequencies) : frequencies_(std::move(frequencies)) {}

    int dim() const { return int(frequencies_.size()) * 2; }
    const std::vector<float> &frequencies() const { return frequencies_; }
    // Writes cosines, then sines, of position * frequency, [rope_dim] in all. The angle is one f32
    // product, as in training.
    void angles(uint32_t position, float *out) const;

  private:
    std::vector<float> frequencies_; // [rope_dim / 2]
};

// Rotates x, the last rope_dim channels of a vector, by Rope::angles; inverse rotates back.
void rotate(float *x, const float *angles, int rope_dim, bool inverse);

} // namespace ds4
