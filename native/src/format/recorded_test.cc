// The recorded samples of official formats (tests/vectors/unit/dequant.safetensors): every code,
// and blocks with extreme scales.
#include <cmath>
#include <cstring>

#include "base/test.h"
#include "base/test_vectors.h"
#include "ds4.h"
#include "format/convert.h"

using ds4::test::Recorded;
using ds4::test::VectorFile;

namespace {

bool same(float a, float b) { return std::isnan(a) ? std::isnan(b) : std::memcmp(&a, &b, 4) == 0; }

} // namespace

TEST("every E2M1 and E4M3 code decodes to its recorded value") {
    const VectorFile file("unit/dequant.safetensors");
    uint8_t packed[16], one = 127;
    for (int code = 0; code < 32; code += 2)
        packed[code / 2] = uint8_t((code & 15) | ((code + 1) & 15) << 4);
    float values[32];
    ds4::decode_row(DS4_TYPE_FP4_PACKED, packed, &one, values, 32);
    for (int code = 0; code < 32; code++)
        CHECK(same(values[code], file["e2m1.values"].floats()[code % 16]));
    uint8_t codes[256], scales[2] = {127, 127};
    float decoded[256];
    for (int code = 0; code < 256; code++) codes[code] = uint8_t(code);
    ds4::decode_row(DS4_TYPE_F8_E4M3, codes, scales, decoded, 256);
    for (int code = 0; code < 256; code++)
        CHECK(same(decoded[code], file["e4m3.values"].floats()[code]));
}

TEST("every E8M0 scale has its recorded value") {
    const VectorFile file("unit/dequant.safetensors");
    for (int code = 0; code < 256; code++) {
        const uint8_t two[16] = {0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22,
                                 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22}; // E2M1 1.0
        const uint8_t scale = uint8_t(code);
        float values[32];
        ds4::decode_row(DS4_TYPE_FP4_PACKED, two, &scale, values, 32);
        for (const float value : values) CHECK(same(value, file["e8m0.values"].floats()[code]));
    }
}

TEST("recorded MXFP4 and FP8 matrices decode bit for bit") {
    const VectorFile file("unit/dequant.safetensors");
    const Recorded &fp4 = file["mxfp4.weight"], &fp8 = file["fp8.weight"];
    float values[384];
    for (int64_t r = 0; r < 8; r++) {
        ds4::decode_row(DS4_TYPE_FP4_PACKED, fp4.bytes.data() + r * 64,
                        file["mxfp4.scale"].bytes.data() + r * 4, values, 128);
        for (int64_t i = 0; i < 128; i++)
            CHECK(same(values[i], file["mxfp4.expected"].floats()[r * 128 + i]));
    }
    for (int64_t r = 0; r < 256; r++) {
        ds4::decode_row(DS4_TYPE_F8_E4M3, fp8.bytes.data() + r * 384,
                        file["fp8.scale"].bytes.data() + r / 128 * 3, values, 384);
        for (int64_t i = 0; i < 384; i++)
            CHECK(same(values[i], file["fp8.expected"].floats()[r * 384 + i]));
    }
}
