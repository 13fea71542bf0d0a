// Q2_K: value = d * scale * q - dmin * minimum, scale and minimum 4 bits per 16 columns. A tile is
// 640 bytes: 16 a lane, then scales. A lane has two words for row lane / 4, then for row lane / 4 +
// 8. Byte i of word g / 2: columns i and i + 4 of group g, 2 bits each from bit 4 (g % 2). Scales:
// [8 pairs of rows][2 halves of a group][2 rows][4 groups]. Side bytes: d and dmin f16 of a block
// of two tiles, [8 pairs of rows][2 rows].
#pragma once
#include "kernels/formats/format.cuh"

namespace ds4::kernels::formats {

struct Q2K {
    static constexpr int kTileBytes = 640, kSideBytes = 32;
    static constexpr Input kInput = Input::int8;
    static constexpr bool kHasMinimums = true;
    using SharedTable = NoTable;
    using GlobalTable = NoTable;
    struct Raw {
        uint4 words;
        uint2 scales, d;
    };

    template <typename Read>
    static __device__ __forceinline__ Raw load(const uint8_t *tile, const uint8_t *side) {
        const int lane = device::lane();
        const auto block = reinterpret_cast<uintptr_t>(side) & ~uintptr_t(63);
        return {Read::vector(tile + lane * 16),
                Read::pair(tile + 512 + lane / 4 * 16 + lane % 4 / 2 * 8),
                Read::pair(reinterpret_cast<const uint8_t *>(block) + lane / 4 * 8)};
    }

    struct Scales {
        uint2 d;
    };
    static __device__ __forceinline__ Scales scales(const Raw &raw) { return {raw.d}; }
    static __device__ __forceinline__ float scale(const Scales &scales, int half, int) {
        return device::f16_to_float(uint16_t(half == 0 ? scales.d.x : scales.d.y));
    }
    static __device__ __forceinline__ float minimum_scale(const Scales &scales, int half) {
        return device::f16_to_float(uint16_t((half == 0 ? scales.d.x : scales.d.y) >> 16));
    }

    // Codes are scale * q, at most 45.
    static __device__ __forceinline__ void words(const Raw &raw, int group, NoTable,
                                                 uint32_t (&a)[4]) {
        const int shift = group % 2 * 4;
        const uint32_t first = (group < 2 ? raw.words.x : raw.words.y) >> shift,
                       second = (group < 2 ? raw.words.z : raw.words.w) >> shift;
        const uint32_t factor[2] = {raw.scales.x >> (8 * group) & 15u,
                                    raw.scales.y >> (8 * group) & 15u};
        a[0] = (first & 0x03030303u) * factor[0], a[2] = (first >> 2 & 0x03030303u) * factor[0];
        a[1] = (second & 0x03030303u) * factor[1], a[3] = (second >> 2 & 0x03030303u) * factor[1];
    }
    // The A fragment of the minimums; all columns of a lane have the same.
    static __device__ __forceinline__ void minimums(const Raw &raw, int group, uint32_t (&a)[4]) {
        a[0] = a[2] = (raw.scales.x >> (8 * group + 4) & 15u) * 0x01010101u;
        a[1] = a[3] = (raw.scales.y >> (8 * group + 4) & 15u) * 0x01010101u;
    }

    static __device__ __forceinline__ void codes(const Raw &raw, int group, GroupCodes &out) {
        codes_with_minimums<Q2K>(raw, group, out);
    }
    static __device__ __forceinline__ void values(const Raw &raw, int group, float (&out)[2][8]) {
        values_of_codes<Q2K>(raw, group, out);
    }
};

} // namespace ds4::kernels::formats
