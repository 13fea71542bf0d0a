#include "format/e8m0.h"

#include "format/scalar.h"

namespace ds4 {

static constexpr E8m0Values make_values() {
    E8m0Values values{};
    for (int e = 0; e < 256; e++) values.of[e] = e8m0_to_f32(uint8_t(e));
    return values;
}

constinit const E8m0Values kE8m0Values = make_values();

} // namespace ds4
