#include "kv/row_formats.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/status.h"

namespace ds4 {
namespace {

constexpr int kKvGroup = 64;      // channels that share a scale in a KV row
constexpr int kIndexGroup = 32;   // in an index row
constexpr float kKvFloor = 1e-4f; // least amax of a KV group
const float kIndexFloor = 6.0f * 0x1p-126f;

float largest_magnitude(const float *x, int n) {
    float amax = 0.0f;
    for (int i = 0; i < n; i++) amax = std::max(amax, std::fabs(x[i]));
    return amax;
}

struct E4m3Table {
    float value[256];
    E4m3Table() {
        for (int code = 0; code < 256; code++) {
            const int exponent = (code >> 3) & 15, mantissa = code & 7;
            const float magnitude = exponent == 0
                                        ? std::ldexp(float(mantissa), -9)
                                        : std::ldexp(1.0f + float(mantissa) / 8.0f, exponent - 7);
            value[code] = (code & 127) == 127 ? NAN : (code & 128) != 0 ? -magnitude : magnitude;
        }
    }
};
const E4m3Table kE4m3;

constexpr float kE2m1[16] = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                             -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};

} // namespace

float power_of_two(int exponent) { return std::ldexp(1.0f, exponent); }

int e4m3_scale_exponent(float amax) {
    int exponent;
    const float mantissa =
        std::frexp(amax, &exponent);           // amax = mantissa * 2^exponent, 1/2 <= mantissa < 1
    return exponent - 9 + (mantissa > 0.875f); // 448 = 7/8 * 2^9
}

int e2m1_scale_exponent(float amax) {
    int exponent;
    const float mantissa = std::frexp(amax, &exponent);
    return exponent - 3 + (mantissa > 0.75f); // 6 = 3/4 * 2^3
}

uint8_t encode_e4m3(float x) {
    const uint8_t sign = std::signbit(x) ? 0x80 : 0;
    const float magnitude = std::fabs(x);
    if (!(magnitude < 0x1p9f)) return uint8_t(sign | 0x7f); // NaN and infinity stay visible
    if (magnitude <
        0x1p-6f) // subnormal codes: multiples of 2^-9; 8 of them is the smallest normal code
        return uint8_t(sign | int(std::nearbyint(magnitude * 0x1p9f)));
    int exponent;
    const float mantissa = std::frexp(magnitude, &exponent); // in [1/2, 1)
    int units = int(std::nearbyint(mantissa * 16.0f));       // 8..16
    if (units == 16) units = 8, exponent++;
    const int code = ((exponent - 1 + 7) << 3) + (units - 8);
    return uint8_t(sign | std::min(code, 0x7e)); // 448; NaN lies above
}

uint8_t encode_e2m1(float x) {
    const uint8_t sign = std::signbit(x) ? 8 : 0;
    const float m = std::fabs(x);
    // midpoints go to the even code
    const int code = m <= 0.25f   ? 0
                     : m < 0.75f  ? 1
                     : m <= 1.25f ? 2
                     : m < 1.75f  ? 3
                     : m <= 2.5f  ? 4
                     : m < 3.5f   ? 5
                     : m <= 5.0f  ? 6
                                  : 7;
    return uint8_t(sign | code);
}

float decode_e4m3(uint8_t code) { return kE4m3.value[code]; }
float decode_e2m1(uint8_t code) { return kE2m1[code & 15]; }

uint16_t encode_bf16(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return uint16_t((bits >> 16) | 0x40); // NaN stays NaN
    return uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

float decode_bf16(uint16_t bits) {
    const uint32_t wide = uint32_t(bits) << 16;
    float x;
    std::memcpy(&x, &wide, 4);
    return x;
}

void hadamard(float *x, int n) {
    for (int stride = 1; stride < n; stride *= 2)
        for (int block = 0; block < n; block += 2 * stride)
            for (int i = block; i < block + stride; i++) {
                const float a = x[i], b = x[i + stride];
                x[i] = a + b;
                x[i + stride] = a - b;
            }
    const float scale = float(1.0 / std::sqrt(double(n)));
    for (int i = 0; i < n; i++) x[i] *= scale;
}

int64_t KvRowFormat::bytes() const {
    if (storage == RowStorage::f32) return int64_t(channels) * 4;
    const int64_t codes = channels - rotary, scales = codes / kKvGroup;
    return (codes + scales + 7) / 8 * 8 + int64_t(rotary) * 2;
}

void KvRowFormat::encode(const float *x, uint8_t *row) const {
    if (storage == RowStorage::f32) {
        std::memcpy(row, x, size_t(channels) * 4);
        return;
    }
    const int codes = channels - rotary;
    uint8_t *scales = row + codes, *tail = row + bytes() - rotary * 2;
    std::memset(scales, 0, size_t(tail - scales));
    for (int g = 0; g < codes / kKvGroup; g++) {
        const float *group = x + g * kKvGroup;
        const int exponent =
            e4m3_scale_exponent(std::max(largest_magnitude(group, kKvGroup), kKvFloor));
        scales[g] = uint8_t(exponent + 127);
        const float inverse = power_of_two(-exponent);
        for (int i = 0; i < kKvGroup; i++) row[g * kKvGroup + i] = encode_e4m3(group[i] * inverse);
    }
    for (int i = 0; i < rotary; i++) {
        const uint16_t bits = encode_bf16(x[codes + i]);
        std::memcpy(tail + i * 2, &bits, 2);
    }
}

void KvRowFormat::decode(const uint8_t *row, float *x) const {
    if (storage == RowStorage::f32) {
        std::memcpy(x, row, size_t(channels) * 4);
        return;
    }
    const int codes = channels - rotary;
    const uint8_t *scales = row + codes, *tail = row + bytes() - rotary * 2;
    for (int g = 0; g < codes / kKvGroup; g++) {
        const float scale = power_of_two(int(scales[g]) - 127);
        for (int i = 0; i < kKvGroup; i++)
            x[g * kKvGroup + i] = kE4m3.value[row[g * kKvGroup + i]] * scale;
    }
    for (int i = 0; i < rotary; i++) {
        uint16_t bits;
        std::memcpy(&bits, tail + i * 2, 2);
        x[codes + i] = decode_bf16(bits);
    }
}

int64_t IndexRowFormat::bytes() const {
    return storage == RowStorage::f32 ? int64_t(channels) * 4
                                      : channels / 2 + channels / kIndexGroup;
}

void IndexRowFormat::encode(float *x, uint8_t *row) const {
    if (storage == RowStorage::f32) {
        std::memcpy(row, x, size_t(channels) * 4);
        return;
    }
    hadamard(x, channels);
    encode_transformed(x, row);
}

void IndexRowFormat::encode_transformed(const float *x, uint8_t *row) const {
    uint8_t *scales = row + channels / 2;
    for (int g = 0; g < channels / kIndexGroup; g++) {
        const float *group = x + g * kIndexGroup;
        const int exponent =
            e2m1_scale_exponent(std::max(largest_magnitude(group, kIndexGroup), kIndexFloor));
        scales[g] = uint8_t(exponent + 127);
        const float inverse = power_of_two(-exponent);
        for (int i = 0; i < kIndexGroup; i += 2)
            row[(g * kIndexGroup + i) / 2] =
                uint8_t(encode_e2m1(group[i] * inverse) | encode_e2m1(group[i + 1] * inverse) << 4);
    }
}

void IndexRowFormat::decode(const uint8_t *row, float *x) const {
    if (storage == RowStorage::f32) {
        std::memcpy(x, row, size_t(channels) * 4);
        return;
    }
    const uint8_t *scales = row + channels / 2;
    for (int g = 0; g < channels / kIndexGroup; g++) {
        const float scale = power_of_two(int(scales[g]) - 127);
        for (int i = 0; i < kIndexGroup; i += 2) {
            const uint8_t pair = row[(g * kIndexGroup + i) / 2];
            x[g * kIndexGroup + i] = kE2m1[pair & 15] * scale;
            x[g * kIndexGroup + i + 1] = kE2m1[pair >> 4] * scale;
        }
    }
}

void round_index_row(float *x, int channels) {
    DS4_ASSERT(channels <= 4096);
    uint8_t row[4096 / 2 + 4096 / kIndexGroup];
    const IndexRowFormat format{channels, RowStorage::packed};
    format.encode(x, row);
    format.decode(row, x);
}

} // namespace ds4
