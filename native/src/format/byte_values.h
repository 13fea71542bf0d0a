// The values of all codes of one byte, as tables for loops that decode many.
#pragma once

namespace ds4 {

struct ByteValues {
    float of[256];
};
extern const ByteValues kE8m0Values; // 255 is NaN
extern const ByteValues kE4m3Values; // 0x7f and 0xff are NaN

} // namespace ds4
