// F8_E4M3 with an E8M0 scale per 128 rows and columns. A tile is 2048 bytes of codes, 16 a lane
// and group; its side byte is the scale. Bytes of a word are columns 0, 2, 1, 3: so the two halves
// of a pair lie 16 bits apart.
#pragma once
#include "kernels/formats/format.cuh"

namespace ds4::kernels::formats {

struct F8E4m3 {
    static constexpr int kTileBytes = 2048, kSideBytes = 1;
    static constexpr Input kInput = Input::bf16;
    static constexpr bool kHasMinimums = false;
    struct Raw {
        uint4 codes[4];
        uint32_t scale;
    };

    template <typename Read>
    static __device__ __forceinline__ Raw load(const uint8_t *tile, const uint8_t *side) {
        const int lane = device::lane();
        Raw raw;
#pragma unroll
        for (int i = 0; i < 4; i++) raw.codes[i] = Read::vector(tile + i * 512 + lane * 16);
        raw.scale = Read::byte(side);
        return raw;
    }

    static __device__ __forceinline__ float scale(const Raw &raw) {
        return e8m0_to_float(raw.scale);
    }

    static __device__ __forceinline__ void halves(const Raw &raw, int group, GroupHalves &out) {
        const uint4 &q = raw.codes[group];
        const uint32_t words[4] = {q.x, q.y, q.z, q.w}; // row, row + 8; row, row + 8
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int pair = 0; pair < 2; pair++)
                out.a[i / 2][i % 2 + 2 * pair] =
                    device::multiply_bf16x2(shrunken(words[i], pair), kGrow);
    }

    static __device__ __forceinline__ void values(const Raw &raw, int group, float (&out)[2][8]) {
        const uint4 &q = raw.codes[group];
        const uint32_t words[4] = {q.x, q.y, q.z, q.w};
        const float factor = scale(raw);
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int pair = 0; pair < 2; pair++) {
                const uint32_t two = shrunken(words[i], pair);
                float *place = &out[i % 2][i / 2 * 4 + pair * 2];
                place[0] = __uint_as_float(two << 16) * 0x1p120f * factor;
                place[1] = __uint_as_float(two & 0xffff0000u) * 0x1p120f * factor;
            }
    }

  private:
    static constexpr uint32_t kGrow = 0x7b807b80u; // 2^120 in bf16, twice

    // Two codes as bf16 that are too small by 2^120: exponent and mantissa move as they are, so
    // that subnormal codes become subnormal values.
    static __device__ __forceinline__ uint32_t shrunken(uint32_t word, int pair) {
        return pair == 0 ? ((word << 8) & 0x80008000u) | ((word << 4) & 0x07f007f0u)
                         : (word & 0x80008000u) | ((word >> 4) & 0x07f007f0u);
    }
};

} // namespace ds4::kernels::formats
