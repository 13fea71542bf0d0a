// Q8_0: value = d * q, a d per 32 columns. A tile is 2176 bytes: four groups of 512 bytes, 16 a
// lane, then scales f16 [8 pairs of rows][4 groups][2 rows].
#pragma once
#include "kernels/formats/format.cuh"

namespace ds4::kernels::formats {

struct Q8_0 {
    static constexpr int kTileBytes = 2176, kSideBytes = 0;
    static constexpr Input kInput = Input::int8;
    static constexpr bool kHasMinimums = false;
    struct Raw {
        uint4 codes[4];
        uint4 scales;
    };

    template <typename Read>
    static __device__ __forceinline__ Raw load(const uint8_t *tile, const uint8_t *) {
        const int lane = device::lane();
        Raw raw;
#pragma unroll
        for (int i = 0; i < 4; i++) raw.codes[i] = Read::vector(tile + i * 512 + lane * 16);
        raw.scales = Read::vector(tile + 2048 + lane / 4 * 16);
        return raw;
    }

    static __device__ __forceinline__ void codes(const Raw &raw, int group, GroupCodes &out) {
        const uint4 &q = raw.codes[group];
        out.codes[0] = q.x, out.codes[1] = q.y, out.codes[2] = q.z, out.codes[3] = q.w;
        const uint32_t pair = scales_of(raw, group);
        out.scale[0] = device::f16_to_float(uint16_t(pair));
        out.scale[1] = device::f16_to_float(uint16_t(pair >> 16));
    }

    static __device__ __forceinline__ void values(const Raw &raw, int group, float (&out)[2][8]) {
        GroupCodes group_codes;
        codes(raw, group, group_codes);
#pragma unroll
        for (int i = 0; i < 16; i++)
            out[i / 8][i % 8] = group_codes.scale[i / 8] *
                                signed_byte(group_codes.codes[i % 8 / 4 * 2 + i / 8], i % 4);
    }

  private:
    static __device__ __forceinline__ uint32_t scales_of(const Raw &raw, int group) {
        return group == 0   ? raw.scales.x
               : group == 1 ? raw.scales.y
               : group == 2 ? raw.scales.z
                            : raw.scales.w;
    }
};

} // namespace ds4::kernels::formats
