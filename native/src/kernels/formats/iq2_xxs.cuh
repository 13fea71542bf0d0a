// IQ2_XXS: value = d (2 s + 1) / 8 * sign * {8, 25, 43}, s 4 bits per 32 columns. A tile is 512
// bytes, 16 a lane: indices of grid points of row lane / 4, of row lane / 4 + 8, then signs of
// both. Bit 4 i + g of a word of signs belongs to column i of group g, i < 7. Bits 28..31 are s of
// group lane % 4. The d of a block lie in the side bytes of its two tiles: f16 [8 pairs of rows][2
// rows].
#pragma once
#include "format/iq2xxs_levels.h"
#include "kernels/formats/format.cuh"

namespace ds4::kernels::formats {

// Grid points as selectors of bytes: nibble i is the level of column i.
struct Iq2XxsSelectors {
    uint32_t words[256];
};
constexpr Iq2XxsSelectors make_iq2_xxs_selectors() {
    Iq2XxsSelectors out{};
    for (int i = 0; i < 256; i++)
        for (int k = 0; k < 8; k++)
            out.words[i] |= (uint32_t(kIq2XxsLevels.rows[i]) >> (2 * k) & 3u) << (4 * k);
    return out;
}
static __device__ const Iq2XxsSelectors kIq2XxsSelectors = make_iq2_xxs_selectors();

struct Iq2XxsGlobalTable {
    __device__ __forceinline__ uint32_t entry(uint32_t indices, int group) const {
        return __ldg(&kIq2XxsSelectors.words[indices >> (8 * group) & 255u]);
    }
};
// A copy for each lane, so that no two lanes meet in a bank.
struct Iq2XxsSharedTable {
    static constexpr int kWords = 256 * 32;
    uint32_t of_lane; // address in shared memory

    __device__ explicit Iq2XxsSharedTable(const uint32_t *filled)
        : of_lane(device::shared_address(filled + device::lane())) {}
    // By all threads of a block; a barrier must follow.
    static __device__ __forceinline__ void fill(uint32_t *words) {
        for (int i = int(threadIdx.x); i < kWords; i += int(blockDim.x))
            words[i] = __ldg(&kIq2XxsSelectors.words[i / 32]);
    }
    // Two instructions make the address: a byte is picked, then multiplied and added.
    __device__ __forceinline__ uint32_t entry(uint32_t indices, int group) const {
        const uint32_t index = device::pick_bytes(indices, 0, 0x4440u + uint32_t(group));
        return device::shared_word(of_lane + index * 128);
    }
};

struct Iq2Xxs {
    static constexpr int kTileBytes = 512, kSideBytes = 16;
    static constexpr Input kInput = Input::int8;
    static constexpr bool kHasMinimums = false;
    using SharedTable = Iq2XxsSharedTable;
    using GlobalTable = Iq2XxsGlobalTable;
    struct Raw {
        uint4 words;
        uint32_t d;
    };

    template <typename Read>
    static __device__ __forceinline__ Raw load(const uint8_t *tile, const uint8_t *side) {
        const auto block = reinterpret_cast<uintptr_t>(side) & ~uintptr_t(31);
        return {Read::vector(tile + device::lane() * 16),
                Read::word(reinterpret_cast<const uint8_t *>(block) + device::lane() / 4 * 4)};
    }

    // The scales of a tile. All lanes call it.
    struct Scales {
        uint32_t nibbles, d; // nibble g: s of group g, nibble 4 + g: of the same for row + 8
    };
    static __device__ __forceinline__ Scales scales(const Raw &raw) {
        const int t = device::lane() % 4;
        uint32_t nibbles = (raw.words.z >> 28 | raw.words.w >> 28 << 16) << (4 * t);
        nibbles |= __shfl_xor_sync(device::kAllLanes, nibbles, 1);
        nibbles |= __shfl_xor_sync(device::kAllLanes, nibbles, 2);
        return {nibbles, raw.d};
    }
    static __device__ __forceinline__ float scale(const Scales &scales, int half, int group) {
        const float d = device::f16_to_float(uint16_t(scales.d >> (16 * half)));
        return d * float(int32_t(scales.nibbles >> (16 * half + 4 * group) & 15u) * 2 + 1) * 0.125f;
    }

    // The A fragment of a group.
    template <typename Table>
    static __device__ __forceinline__ void words(const Raw &raw, int group, const Table &table,
                                                 uint32_t (&a)[4]) {
        row_words(raw.words.x, raw.words.z, group, table, a[0], a[2]);
        row_words(raw.words.y, raw.words.w, group, table, a[1], a[3]);
    }

    static __device__ __forceinline__ void codes(const Raw &raw, int group, GroupCodes &out) {
        words(raw, group, GlobalTable(), out.codes);
        const Scales all = scales(raw);
        out.scale[0] = scale(all, 0, group), out.scale[1] = scale(all, 1, group);
    }
    static __device__ __forceinline__ void values(const Raw &raw, int group, float (&out)[2][8]) {
        values_of_codes<Iq2Xxs>(raw, group, out);
    }

  private:
    static constexpr uint32_t kPositive = 8u | 25u << 8 | 43u << 16,
                              kNegative = 248u | 231u << 8 | 213u << 16;

    template <typename Table>
    static __device__ __forceinline__ void row_words(uint32_t indices, uint32_t signs, int group,
                                                     const Table &table, uint32_t &first,
                                                     uint32_t &second) {
        // the eighth sign makes the number of negative columns even
        const uint32_t three = signs ^ signs << 4 ^ signs << 8;
        const uint32_t parity = three ^ three << 12 ^ three << 24;
        const uint32_t all = (parity & 0xf0000000u) ^ signs;
        const uint32_t moved = group < 3 ? all << (2 - group) : all >> 1;
        const uint32_t selector = table.entry(indices, group) ^ (moved & 0x44444444u);
        first = device::pick_bytes(kPositive, kNegative, selector);
        second = device::pick_bytes(kPositive, kNegative, selector >> 16);
    }
};

} // namespace ds4::kernels::formats
