#include "model/rope.h"

#include <algorithm>
#include <cmath>

namespace ds4 {

Rope::Rope(const Shape &shape, bool compressed) {
    const int dim = shape.rope_dim;
    const double theta = compressed ? shape.compress_rope_theta : shape.rope_theta;
    double low = 0.0, high = 0.0;
    if (compressed) {
        // The ramp between kept and interpolated frequencies runs between the channel pairs that
        // turn beta_fast and beta_slow times in the original context.
        const auto pair_of = [&](double beta) {
            return dim * std::log(shape.yarn_original_tokens / (beta * 2.0 * M_PI)) /
                   (2.0 * std::log(theta));
        };
        low = std::max(std::floor(pair_of(shape.yarn_beta_fast)), 0.0);
        high = std::min(std::ceil(pair_of(shape.yarn_beta_slow)), double(dim - 1));
        if (low == high) high += 0.001; // a ramp of no width would divide by zero
    }
    for (int i = 0; i < dim / 2; i++) {
        const double kept = std::pow(theta, -2.0 * i / dim);
        if (!compressed) {
            frequencies_.push_back(float(kept));
            continue;
        }
        const double ramp = std::clamp((i - low) / (high - low), 0.0, 1.0);
        frequencies_.push_back(float(kept * (1.0 - ramp) + kept / shape.yarn_factor * ramp));
    }
}

void Rope::angles(uint32_t position, float *out) const {
    const size_t pairs = frequencies_.size();
    for (size_t i = 0; i < pairs; i++) {
        const float angle = float(position) * frequencies_[i];
        out[i] = std::cos(angle);
        out[pairs + i] = std::sin(angle);
    }
}

void rotate(float *x, const float *angles, int rope_dim, bool inverse) {
    const int pairs = rope_dim / 2;
    for (int i = 0; i < pairs; i++) {
        // products in f64: one rounding instead of three
        const double c = angles[i], s = inverse ? -angles[pairs + i] : angles[pairs + i];
        const double a = x[2 * i], b = x[2 * i + 1];
        x[2 * i] = float(a * c - b * s);
        x[2 * i + 1] = float(a * s + b * c);
    }
}

} // namespace ds4
