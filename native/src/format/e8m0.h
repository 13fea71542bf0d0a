// The values of all E8M0 bytes, for kernels: 255 is NaN.
#pragma once

namespace ds4 {

struct E8m0Values {
    float of[256];
};
extern const E8m0Values kE8m0Values;

} // namespace ds4
