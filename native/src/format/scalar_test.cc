// Every code of the small formats, and the roundings between them.
#include "format/scalar.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/test.h"
#include "base/test_vectors.h"
#include "format/second_reading_for_tests.h"

namespace ds4 {

TEST("E8M0, E4M3 and E2M1 tables") {
    for (int e = 0; e < 255; e++)
        CHECK(double(e8m0_to_f32(uint8_t(e))) == std::ldexp(1.0, e - 127));
    CHECK(std::isnan(e8m0_to_f32(255)));
    for (int code = 0; code < 256; code++) {
        const int exponent = code >> 3 & 15, mantissa = code & 7;
        const double magnitude =
            exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
        const float value = e4m3_to_f32(uint8_t(code));
        if ((code & 127) == 127)
            CHECK(std::isnan(value));
        else
            CHECK(double(value) == (code & 128 ? -magnitude : magnitude) &&
                  std::signbit(value) == (code >= 128));
    }
    CHECK(e4m3_to_f32(0x7e) == 448.0f);
    constexpr float kE2m1[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    for (int code = 0; code < 16; code++) {
        CHECK(e2m1_to_f32(uint8_t(code)) == (code < 8 ? kE2m1[code] : -kE2m1[code - 8]));
        CHECK(double(kE2m1Doubled[code]) == 2 * e2m1_value(code));
    }
}

TEST("F16 and BF16 keep every value, and round to nearest even") {
    for (uint32_t half = 0; half < 0x10000; half++) {
        const float value = f16_to_f32(uint16_t(half)), wide = bf16_to_f32(uint16_t(half));
        if ((half & 0x7c00) != 0x7c00) {
            const uint8_t bytes[2] = {uint8_t(half), uint8_t(half >> 8)};
            CHECK(double(value) == half_value(bytes) && f32_to_f16(value) == half);
        } else {
            CHECK((half & 0x3ff) ? std::isnan(value) && (f32_to_f16(value) & 0x3ff)
                                 : std::isinf(value) && f32_to_f16(value) == half);
        }
        CHECK(std::isnan(wide) ? std::isnan(bf16_to_f32(f32_to_bf16(wide)))
                               : f32_to_bf16(wide) == half);
        // the middle between two neighbours goes to the even one, a step beside it to the nearer
        if ((half & 0x7c00) == 0x7c00 || (half & 0x7fff) >= 0x7bff) continue;
        const float next = f16_to_f32(uint16_t(half + 1)), middle = 0.5f * (value + next);
        CHECK(f32_to_f16(middle) == (half % 2 == 0 ? half : half + 1));
        CHECK(f32_to_f16(std::nextafterf(middle, value)) == half);
        CHECK(f32_to_f16(std::nextafterf(middle, next)) == half + 1);
    }
    CHECK(f32_to_f16(65519.0f) == 0x7bff && f32_to_f16(65520.0f) == 0x7c00 &&
          f32_to_f16(-1e10f) == 0xfc00);
    CHECK(f32_to_f16(0x1p-25f) == 0 && f32_to_f16(0x1.8p-25f) == 1 && f32_to_f16(-0.0f) == 0x8000);
    CHECK(f32_to_bf16(f32_from_bits(0x3f808000)) == 0x3f80 &&
          f32_to_bf16(f32_from_bits(0x3f818000)) == 0x3f82);
    CHECK(f32_to_bf16(f32_from_bits(0x3f808001)) == 0x3f81);
}

TEST("scale exponents equal the recorded ones around every boundary") {
    const ds4::test::VectorFile file("unit/trained.safetensors");
    const auto &amax = file["scale.amax"];
    for (int64_t i = 0; i < amax.count(); i++) {
        CHECK(e4m3_scale_exponent(std::max(amax.floats()[i], 1e-4f)) + 127 ==
              int(file["scale.fp8"].bytes[size_t(i)]));
        CHECK(e2m1_scale_exponent(std::max(amax.floats()[i], 6.0f * 0x1p-126f)) + 127 ==
              int(file["scale.fp4"].bytes[size_t(i)]));
    }
}

TEST("every E4M3 and E2M1 code encodes back to itself, and midpoints go to the even code") {
    for (int code = 0; code < 256; code++)
        if ((code & 127) != 127) CHECK(f32_to_e4m3(e4m3_to_f32(uint8_t(code))) == code);
    for (int code = 0; code < 16; code++) CHECK(f32_to_e2m1(e2m1_to_f32(uint8_t(code))) == code);
    for (int code = 0; code < 0x7e; code++) {
        const float middle = (e4m3_to_f32(uint8_t(code)) + e4m3_to_f32(uint8_t(code + 1))) / 2;
        CHECK((f32_to_e4m3(middle) & 1) == 0);
    }
}

} // namespace ds4
