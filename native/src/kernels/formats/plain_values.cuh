// F32, F16 and BF16. A group is a run of vectors of 512 bytes, 16 a lane. F32 has columns 0..3 of
// rows lane / 4 and lane / 4 + 8, then columns 4..7 of both. 16-bit types have all eight columns of
// the one row, then of the other.
#pragma once
#include "kernels/formats/format.cuh"

namespace ds4::kernels::formats {

struct F32 {
    static constexpr int kTileBytes = 8192, kSideBytes = 0;
    static constexpr Input kInput = Input::f32;
    static constexpr bool kHasMinimums = false;
    struct Raw {
        uint4 vectors[16];
    };

    template <typename Read>
    static __device__ __forceinline__ Raw load(const uint8_t *tile, const uint8_t *) {
        Raw raw;
#pragma unroll
        for (int i = 0; i < 16; i++)
            raw.vectors[i] = Read::vector(tile + i * 512 + device::lane() * 16);
        return raw;
    }

    static __device__ __forceinline__ void values(const Raw &raw, int group, float (&out)[2][8]) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const uint4 &v = raw.vectors[group * 4 + i];
            float *place = &out[i % 2][i / 2 * 4];
            place[0] = __uint_as_float(v.x), place[1] = __uint_as_float(v.y);
            place[2] = __uint_as_float(v.z), place[3] = __uint_as_float(v.w);
        }
    }
};

// kIsBf16: else F16.
template <bool kIsBf16> struct SixteenBit {
    static constexpr int kTileBytes = 4096, kSideBytes = 0;
    static constexpr Input kInput = Input::f32;
    static constexpr bool kHasMinimums = false;
    struct Raw {
        uint4 vectors[8];
    };

    template <typename Read>
    static __device__ __forceinline__ Raw load(const uint8_t *tile, const uint8_t *) {
        Raw raw;
#pragma unroll
        for (int i = 0; i < 8; i++)
            raw.vectors[i] = Read::vector(tile + i * 512 + device::lane() * 16);
        return raw;
    }

    static __device__ __forceinline__ void values(const Raw &raw, int group, float (&out)[2][8]) {
#pragma unroll
        for (int row = 0; row < 2; row++) {
            const uint4 &v = raw.vectors[group * 2 + row];
            const uint32_t words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
            for (int i = 0; i < 4; i++) {
                out[row][2 * i] = one(uint16_t(words[i]));
                out[row][2 * i + 1] = one(uint16_t(words[i] >> 16));
            }
        }
    }

  private:
    static __device__ __forceinline__ float one(uint16_t bits) {
        return kIsBf16 ? device::bf16_to_float(bits) : device::f16_to_float(bits);
    }
};
using F16 = SixteenBit<false>;
using Bf16 = SixteenBit<true>;

} // namespace ds4::kernels::formats
