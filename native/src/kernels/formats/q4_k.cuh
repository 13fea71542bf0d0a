// Q4_K: value = d * scale * q - dmin * minimum, scale and minimum 6 bits per 32 columns. A tile is
// 1120 bytes: codes of the first eight rows, 16 a lane, then of the others, then scales. Word g of
// a lane is its group g, columns 0..3 in the lower halves of the bytes. Scales are three arrays of
// a word for each pair of rows. The first two have the low bits of the first row and of the second:
// four scales, four minimums, 4 bits each. The third has the upper 2 bits of both. Side bytes: as
// Q2_K.
#pragma once
#include "kernels/formats/format.cuh"

namespace ds4::kernels::formats {

struct Q4K {
    static constexpr int kTileBytes = 1120, kSideBytes = 32;
    static constexpr Input kInput = Input::int8;
    static constexpr bool kHasMinimums = true;
    using SharedTable = NoTable;
    using GlobalTable = NoTable;
    struct Scales {
        uint32_t low[2], high;
        uint2 d;
    };
    struct Raw {
        uint4 rows[2];
        Scales scales;
    };

    template <typename Read>
    static __device__ __forceinline__ Raw load(const uint8_t *tile, const uint8_t *side) {
        const int lane = device::lane();
        const auto block = reinterpret_cast<uintptr_t>(side) & ~uintptr_t(63);
        const uint8_t *scales = tile + 1024 + lane / 4 * 4;
        return {{Read::vector(tile + lane * 16), Read::vector(tile + 512 + lane * 16)},
                {{Read::word(scales), Read::word(scales + 32)},
                 Read::word(scales + 64),
                 Read::pair(reinterpret_cast<const uint8_t *>(block) + lane / 4 * 8)}};
    }

    static __device__ __forceinline__ Scales scales(const Raw &raw) { return raw.scales; }
    static __device__ __forceinline__ float scale(const Scales &scales, int half, int group) {
        const uint32_t low = half == 0 ? scales.low[0] : scales.low[1];
        const uint32_t code =
            (low >> (4 * group) & 15u) | (scales.high >> (16 * half + 4 * group) & 3u) << 4;
        return device::f16_to_float(uint16_t(half == 0 ? scales.d.x : scales.d.y)) *
               float(int32_t(code));
    }
    static __device__ __forceinline__ float minimum_scale(const Scales &scales, int half) {
        return device::f16_to_float(uint16_t((half == 0 ? scales.d.x : scales.d.y) >> 16));
    }

    static __device__ __forceinline__ void words(const Raw &raw, int group, NoTable,
                                                 uint32_t (&a)[4]) {
        const uint32_t first = word(raw.rows[0], group), second = word(raw.rows[1], group);
        a[0] = first & 0x0f0f0f0fu, a[2] = first >> 4 & 0x0f0f0f0fu;
        a[1] = second & 0x0f0f0f0fu, a[3] = second >> 4 & 0x0f0f0f0fu;
    }
    static __device__ __forceinline__ void minimums(const Raw &raw, int group, uint32_t (&a)[4]) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const uint32_t code = (raw.scales.low[half] >> (16 + 4 * group) & 15u) |
                                  (raw.scales.high >> (16 * half + 4 * group + 2) & 3u) << 4;
            a[half] = a[half + 2] = code * 0x01010101u;
        }
    }

    static __device__ __forceinline__ void codes(const Raw &raw, int group, GroupCodes &out) {
        codes_with_minimums<Q4K>(raw, group, out);
    }
    static __device__ __forceinline__ void values(const Raw &raw, int group, float (&out)[2][8]) {
        values_of_codes<Q4K>(raw, group, out);
    }
};

} // namespace ds4::kernels::formats
