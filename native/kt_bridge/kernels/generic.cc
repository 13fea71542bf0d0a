// Plain C++ kernels: the reference of the vector kernels, and the fall-back of any x86-64.
#include <algorithm>
#include <cmath>

#include "kernels/kernels.h"
#include "format/scalar.h"
#include "kernels/activations.h"

namespace ds4::ktb {
namespace {

void prepare_int8(const float *x, int groups, uint8_t *out) {
    for (int g = 0; g < groups; g++, x += kGroup) {
        Int8Group &group = reinterpret_cast<Int8Group *>(out)[g];
        uint32_t largest = 0; // compared by bits: NaN is above infinity and stays
        for (int i = 0; i < kGroup; i++)
            largest = std::max(largest, __builtin_bit_cast(uint32_t, x[i]) & 0x7fffffffu);
        const float amax = __builtin_bit_cast(float, largest);
        const bool finite = largest < 0x7f800000u;
        const float inverse = finite && amax > 0 ? 127.0f / amax : 0.0f;
        // Below 127 / FLT_MAX the inverse overflows. Such a group counts as zero.
        const bool usable = std::isfinite(inverse);
        int sum = 0;
        for (int p = 0; p < kGroup; p++) {
            const float scaled = finite && usable ? x[int8_source(p)] * inverse : 0.0f;
            group.values[p] = int8_t(std::lrintf(scaled));
            sum += group.values[p];
        }
        group.scale = finite ? (usable ? amax / 127.0f * 0.5f : 0.0f) : __builtin_nanf("");
        group.correction = -12 * sum;
    }
}

void prepare_bf16(const float *x, int groups, uint8_t *out) {
    for (int g = 0; g < groups; g++, x += kGroup) {
        Bf16Group &group = reinterpret_cast<Bf16Group *>(out)[g];
        for (int p = 0; p < kGroup; p++) group.values[p] = f32_to_bf16(x[bf16_source(p)]);
    }
}

struct Int8Numerics {
    static constexpr size_t kBytes = sizeof(Int8Group);
    // row: 4 dwords at stride 64 bytes
    static float dot(const uint8_t *row, const uint8_t *activations) {
        const Int8Group &group = *reinterpret_cast<const Int8Group *>(activations);
        int sum = group.correction;
        for (int v = 0; v < 4; v++)
            for (int b = 0; b < 4; b++) {
                const uint8_t code = row[v * 64 + b];
                sum += (e2m1_doubled(code) + 12) * group.values[v * 8 + b];
                sum += (e2m1_doubled(uint32_t(code) >> 4) + 12) * group.values[v * 8 + 4 + b];
            }
        return float(sum) * group.scale;
    }
};
struct Bf16Numerics {
    static constexpr size_t kBytes = sizeof(Bf16Group);
    static float dot(const uint8_t *row, const uint8_t *activations) {
        const Bf16Group &group = *reinterpret_cast<const Bf16Group *>(activations);
        float sum = 0;
        for (int p = 0; p < kGroup; p++) {
            const int k = bf16_source(p);
            const uint32_t code = uint32_t(row[(k / 8) * 64 + (k % 8) / 2]) >> (k % 2 * 4);
            sum += 0.5f * float(e2m1_doubled(code)) * bf16_to_f32(group.values[p]);
        }
        return sum;
    }
};

const uint8_t *row_codes(const uint8_t *tile, int row) {
    return tile + (row / 16) * 256 + (row % 16) * 4;
}

template <class N> void panel(const PanelArgs &args) {
    for (int t = 0; t < args.tokens; t++)
        for (int row = 0; row < kTileRows; row++) {
            float sum = 0;
            for (int g = 0; g < args.groups; g++) {
                const uint8_t *tile = args.tiles + size_t(g) * args.tile_stride;
                const float scale = e8m0_as_exponent(tile[kTileCodeBytes + size_t(row)]);
                sum += scale * N::dot(row_codes(tile, row), args.rows[t] + size_t(g) * N::kBytes);
            }
            args.sums[t * kTileRows + row] = sum;
        }
}

template <class N> void down(const DownArgs &args) {
    for (int t = 0; t < args.tokens; t++)
        for (int i = 0; i < args.row_tiles; i++) {
            const uint8_t *tile = args.tiles + size_t(i) * kTileBytes;
            for (int row = 0; row < kTileRows; row++) {
                const float scale = e8m0_as_exponent(tile[kTileCodeBytes + size_t(row)]);
                float &out = args.outputs[t][i * kTileRows + row];
                out = (args.first ? 0.0f : out) +
                      scale * N::dot(row_codes(tile, row), args.groups[t]);
            }
        }
}

void swiglu(const float *sums, float limit, float *h) {
    for (int i = 0; i < kGroup; i++) {
        const float gate = clamped_gate(sums[i], limit);
        const float minus = -gate > 88.0f ? 88.0f : -gate;
        h[i] = gate / (1.0f + std::exp(minus)) * clamped_up(sums[kGroup + i], limit);
    }
}

void add_scaled(const float *sums, float weight, float *y, int count) {
    for (int i = 0; i < count; i++) y[i] += weight * sums[i];
}

void add(const float *x, float *y, int count) {
    for (int i = 0; i < count; i++) y[i] += x[i];
}

} // namespace

const Kernels kGenericInt8 = {"generic",           "int8",
                              sizeof(Int8Group),   prepare_int8,
                              panel<Int8Numerics>, panel<Int8Numerics>,
                              down<Int8Numerics>,  swiglu,
                              add_scaled,          add};
const Kernels kGenericBf16 = {"generic",           "bf16",
                              sizeof(Bf16Group),   prepare_bf16,
                              panel<Bf16Numerics>, panel<Bf16Numerics>,
                              down<Bf16Numerics>,  swiglu,
                              add_scaled,          add};

} // namespace ds4::ktb
