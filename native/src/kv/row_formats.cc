#include "kv/row_formats.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/assert.h"
#include "format/byte_values.h"
#include "format/scalar.h"

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

} // namespace

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
        for (int i = 0; i < kKvGroup; i++) row[g * kKvGroup + i] = f32_to_e4m3(group[i] * inverse);
    }
    for (int i = 0; i < rotary; i++) {
        const uint16_t bits = f32_to_bf16(x[codes + i]);
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
        const float scale = e8m0_to_f32(scales[g]);
        for (int i = 0; i < kKvGroup; i++)
            x[g * kKvGroup + i] = kE4m3Values.of[row[g * kKvGroup + i]] * scale;
    }
    for (int i = 0; i < rotary; i++) {
        uint16_t bits;
        std::memcpy(&bits, tail + i * 2, 2);
        x[codes + i] = bf16_to_f32(bits);
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
                uint8_t(f32_to_e2m1(group[i] * inverse) | f32_to_e2m1(group[i + 1] * inverse) << 4);
    }
}

void IndexRowFormat::decode(const uint8_t *row, float *x) const {
    if (storage == RowStorage::f32) {
        std::memcpy(x, row, size_t(channels) * 4);
        return;
    }
    const uint8_t *scales = row + channels / 2;
    for (int g = 0; g < channels / kIndexGroup; g++) {
        const float scale = e8m0_to_f32(scales[g]);
        for (int i = 0; i < kIndexGroup; i += 2) {
            const uint8_t pair = row[(g * kIndexGroup + i) / 2];
            x[g * kIndexGroup + i] = kE2m1Values[pair & 15] * scale;
            x[g * kIndexGroup + i + 1] = kE2m1Values[pair >> 4] * scale;
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
