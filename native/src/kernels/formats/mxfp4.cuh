// MXFP4 and FP4_PACKED: e2m1 codes, an E8M0 scale per 32 columns. A tile is 1088 bytes: codes of
// the first eight rows, 16 a lane, then of the others, then scales. Word g of a lane is its group
// g. It has the magnitude of column i in bits 4 i .. 4 i + 2. Signs of columns 0..3 are at the top
// of the bytes, those of columns 4..7 at bits 3, 11, 19 and 27. Scales: [8 pairs of rows][2 rows]
// [4 groups].
#pragma once
#include "kernels/formats/format.cuh"

namespace ds4::kernels::formats {

struct Mxfp4 {
    static constexpr int kTileBytes = 1088, kSideBytes = 0;
    static constexpr Input kInput = Input::int8;
    static constexpr bool kHasMinimums = false;
    using SharedTable = NoTable;
    using GlobalTable = NoTable;
    struct Scales {
        uint2 bytes;
    };
    struct Raw {
        uint4 rows[2];
        Scales scales;
    };

    template <typename Read>
    static __device__ __forceinline__ Raw load(const uint8_t *tile, const uint8_t *) {
        const int lane = device::lane();
        return {{Read::vector(tile + lane * 16), Read::vector(tile + 512 + lane * 16)},
                {Read::pair(tile + 1024 + lane / 4 * 8)}};
    }

    static __device__ __forceinline__ Scales scales(const Raw &raw) { return raw.scales; }
    // Codes are twice the values, so the scale is halved: 2^(e - 128), subnormal below e = 2.
    static __device__ __forceinline__ float scale(const Scales &scales, int half, int group) {
        const uint32_t e = (half == 0 ? scales.bytes.x : scales.bytes.y) >> (8 * group) & 255u;
        return 0.5f * e8m0_to_float(e);
    }

    static __device__ __forceinline__ void words(const Raw &raw, int group, NoTable,
                                                 uint32_t (&a)[4]) {
        signed_bytes(word(raw.rows[0], group), a[0], a[2]);
        signed_bytes(word(raw.rows[1], group), a[1], a[3]);
    }

    static __device__ __forceinline__ void codes(const Raw &raw, int group, GroupCodes &out) {
        words(raw, group, NoTable(), out.codes);
        out.scale[0] = scale(raw.scales, 0, group), out.scale[1] = scale(raw.scales, 1, group);
    }
    static __device__ __forceinline__ void values(const Raw &raw, int group, float (&out)[2][8]) {
        values_of_codes<Mxfp4>(raw, group, out);
    }

  private:
    // The doubled magnitudes 0, 1, 2, 3, 4, 6, 8, 12 and their negatives.
    static __device__ __forceinline__ void signed_bytes(uint32_t word, uint32_t &first,
                                                        uint32_t &second) {
        constexpr uint32_t kLow = 0x03020100u, kHigh = 0x0c080604u, kMinusLow = 0xfdfeff00u,
                           kMinusHigh = 0xf4f8fafcu;
        const uint32_t magnitudes = word & 0x77777777u;
        const uint32_t positive[2] = {device::pick_bytes(kLow, kHigh, magnitudes),
                                      device::pick_bytes(kLow, kHigh, magnitudes >> 16)},
                       negative[2] = {device::pick_bytes(kMinusLow, kMinusHigh, magnitudes),
                                      device::pick_bytes(kMinusLow, kMinusHigh, magnitudes >> 16)};
        const uint32_t signs[2] = {device::byte_signs(word), device::byte_signs(word << 4)};
        first = (positive[0] & ~signs[0]) | (negative[0] & signs[0]);
        second = (positive[1] & ~signs[1]) | (negative[1] & signs[1]);
    }
};

} // namespace ds4::kernels::formats
