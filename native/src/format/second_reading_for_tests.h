// Values of codes in double, read from the formats' descriptions without the library's decoders.
#pragma once
#include <cmath>
#include <cstdint>

namespace ds4 {

// F16, little-endian; finite values only.
inline double half_value(const uint8_t *p) {
    const int bits = p[0] | p[1] << 8, exponent = (bits >> 10) & 31, fraction = bits & 1023;
    const double magnitude =
        exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    return bits & 0x8000 ? -magnitude : magnitude;
}

// E2M1, a nibble.
inline double e2m1_value(int code) {
    const int exponent = (code >> 1) & 3, mantissa = code & 1;
    const double magnitude =
        exponent == 0 ? 0.5 * mantissa : std::ldexp(2 + mantissa, exponent - 2);
    return code & 8 ? -magnitude : magnitude;
}

} // namespace ds4
