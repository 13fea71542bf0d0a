#include "format/byte_values.h"

#include "format/scalar.h"

namespace ds4 {
namespace {

template <float (*Decode)(uint8_t)> constexpr ByteValues values_of() {
    ByteValues values{};
    for (int code = 0; code < 256; code++) values.of[code] = Decode(uint8_t(code));
    return values;
}

} // namespace

constinit const ByteValues kE8m0Values = values_of<e8m0_to_f32>();
constinit const ByteValues kE4m3Values = values_of<e4m3_to_f32>();

} // namespace ds4
