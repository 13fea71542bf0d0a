// The decoders against known answers, and against a second reading of the format descriptions in
// double.
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/test.h"
#include "ds4.h"
#include "format/convert.h"
#include "format/encode.h"
#include "format/iq2xxs.h"
#include "format/known_blocks_for_tests.h"
#include "format/second_reading_for_tests.h"

namespace ds4 {
namespace {

std::vector<uint8_t> from_hex(const char *hex) {
    std::vector<uint8_t> bytes;
    for (; *hex != '\0'; hex += 2)
        bytes.push_back(uint8_t(std::stoi(std::string(hex, 2), nullptr, 16)));
    return bytes;
}

void check_block(uint32_t type, const known::Block &block) {
    const std::vector<uint8_t> bytes = from_hex(block.hex);
    CHECK(bytes.size() == row_bytes(type, uint64_t(block.count)));
    std::vector<float> values(size_t(block.count));
    decode_row(type, bytes.data(), nullptr, values.data(), block.count);
    for (int i = 0; i < block.count; i++)
        if (double(values[size_t(i)]) != block.values[i])
            ds4::test::record(__FILE__, __LINE__,
                              std::string(block.name) + "[" + std::to_string(i) + "] is " +
                                  std::to_string(values[size_t(i)]));
}

// One value of a 256-block, by the formulas, each step in double (exact).
double q2k_value(const uint8_t *b, int i) {
    const int h = i / 128, s = i % 128 / 32, c = i % 32, q = b[16 + 32 * h + c] >> (2 * s) & 3,
              scale = b[i / 16];
    return half_value(b + 80) * (scale & 15) * q - half_value(b + 82) * (scale >> 4);
}
double q4k_value(const uint8_t *b, int i) {
    const uint8_t *s = b + 4;
    const int j = i / 32, byte = b[16 + 32 * (j / 2) + i % 32], q = j % 2 ? byte >> 4 : byte & 15;
    const int scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) + 16 * (s[j - 4] >> 6);
    const int min = j < 4 ? s[j + 4] & 63 : (s[j + 4] >> 4) + 16 * (s[j] >> 6);
    return half_value(b) * scale * q - half_value(b + 2) * min;
}
double iq2xxs_value(const uint8_t *b, int i) {
    const uint8_t *group = b + 2 + i / 32 * 8;
    const int k = i % 32 / 8, j = i % 8;
    const uint32_t word = uint32_t(group[4]) | uint32_t(group[5]) << 8 | uint32_t(group[6]) << 16 |
                          uint32_t(group[7]) << 24;
    const uint32_t sign = word >> (7 * k) & 127;
    const bool negative = j < 7 ? sign >> j & 1 : __builtin_popcount(sign) % 2;
    const uint8_t *grid = reinterpret_cast<const uint8_t *>(&kIq2XxsGrid.rows[group[k]]);
    return half_value(b) * (0.5 + (word >> 28)) / 4 * grid[j] * (negative ? -1 : 1);
}
double q8_0_value(const uint8_t *b, int i) { return half_value(b) * int8_t(b[2 + i]); }
double mxfp4_value(const uint8_t *b, int i) {
    return e2m1_value(i < 16 ? b[1 + i] & 15 : b[1 + i - 16] >> 4) * std::ldexp(1.0, b[0] - 127);
}

// Random bytes with finite scales; every value within one float rounding of the double (exact where
// no min is taken).
void check_random(uint32_t type, int f16_at, int other_f16_at,
                  double (*value)(const uint8_t *, int)) {
    const TypeTraits &traits = *type_traits(type);
    uint32_t state = 12345;
    const auto next = [&] { return state = state * 1664525u + 1013904223u, uint8_t(state >> 24); };
    for (int round = 0; round < 200; round++) {
        std::vector<uint8_t> block(traits.block_bytes);
        for (uint8_t &byte : block) byte = next();
        for (const int at : {f16_at, other_f16_at})
            if (at >= 0) block[size_t(at) + 1] &= 0xbb; // no infinities
        if (type == DS4_TYPE_MXFP4) block[0] = uint8_t(round % 255);
        std::vector<float> values(traits.block_elements);
        decode_row(type, block.data(), nullptr, values.data(), traits.block_elements);
        for (uint32_t i = 0; i < traits.block_elements; i++)
            CHECK(values[i] == float(value(block.data(), int(i))));
    }
}

} // namespace

TEST("decoders give the known answers") {
    check_block(DS4_TYPE_Q8_0, known::kQ80);
    check_block(DS4_TYPE_Q2_K, known::kQ2k);
    check_block(DS4_TYPE_Q4_K, known::kQ4k);
    check_block(DS4_TYPE_IQ2_XXS, known::kIq2xxs);
    check_block(DS4_TYPE_MXFP4, known::kMxfp4);
}

TEST("decoders agree bit for bit with the formulas in double, rounded once") {
    check_random(DS4_TYPE_Q8_0, 0, -1, q8_0_value);
    check_random(DS4_TYPE_Q2_K, 80, 82, q2k_value);
    check_random(DS4_TYPE_Q4_K, 0, 2, q4k_value);
    check_random(DS4_TYPE_IQ2_XXS, 0, -1, iq2xxs_value);
    check_random(DS4_TYPE_MXFP4, -1, -1, mxfp4_value);
}

TEST("the official FP4 order and GGUF blocks hold the same values") {
    const std::vector<uint8_t> packed = from_hex(known::kRepack.packed),
                               gguf = from_hex(known::kRepack.gguf);
    const uint8_t scale = uint8_t(known::kRepack.scale);
    uint8_t made[17];
    fp4_packed_to_mxfp4(packed.data(), &scale, made, 32);
    CHECK(std::memcmp(made, gguf.data(), 17) == 0);
    float a[32], b[32];
    decode_row(DS4_TYPE_FP4_PACKED, packed.data(), &scale, a, 32);
    decode_row(DS4_TYPE_MXFP4, gguf.data(), nullptr, b, 32);
    for (int i = 0; i < 32; i++) CHECK(double(a[i]) == known::kRepackValues[i] && a[i] == b[i]);
}

TEST("sizes of rows and scales") {
    CHECK(row_bytes(DS4_TYPE_Q8_0, 4096) == 4352 && row_bytes(DS4_TYPE_Q8_0, 4095) == 0);
    CHECK(row_bytes(DS4_TYPE_MXFP4, 64) == 34 && row_bytes(DS4_TYPE_FP4_PACKED, 64) == 32);
    CHECK(row_bytes(DS4_TYPE_F8_E4M3, 5) == 5 && row_bytes(12345, 32) == 0 &&
          row_bytes(DS4_TYPE_F32, UINT64_MAX) == 0);
    CHECK(scale_bytes(DS4_TYPE_F8_E4M3, 129, 257) == 6 &&
          scale_bytes(DS4_TYPE_FP4_PACKED, 3, 64) == 6);
    CHECK(scale_bytes(DS4_TYPE_F16, 3, 64) == 0);
}

} // namespace ds4
