// The device's side of packed formats. A format is a struct:
//
//   struct Format {
//       static constexpr int kTileBytes, kSideBytes;     // as in format.h
//       static constexpr Input kInput;                   // what a `rounded` product takes
//       static constexpr bool kHasMinimums;              // with Input::int8
//       struct Raw { ... };                              // what a lane loads of a tile
//       template <typename Read>
//       static Raw load(const uint8_t *tile, const uint8_t *side);
//       static void values(const Raw &, int group, float (&out)[2][8]);
//       static void codes(const Raw &, int group, GroupCodes &);     // Input::int8
//       static void halves(const Raw &, int group, GroupHalves &);   // Input::bf16
//       static float scale(const Raw &);                             // Input::bf16
//   };
//
// load has vector loads only: `tile` is at a multiple of 16. The rest works in registers; `group`
// is a constant after unrolling. values gives exactly what decode_row gives, for rows lane / 4 and
// lane / 4 + 8 and the lane's eight columns of the group.
#pragma once
#include "device/kernel.h"
#include "kernels/formats/format.h"

namespace ds4::kernels::formats {

enum class Input { f32, int8, bf16 };

// Int8 form of 32 columns: weight = scale * code - minimum_scale * minimum. Arrays of two are for
// rows lane / 4 and lane / 4 + 8.
struct GroupCodes {
    uint32_t codes[4]; // A fragment of mma_s8: rows in turn, columns + 0..3, then + 4..7
    float scale[2];
    uint32_t minimums[4];   // with kHasMinimums: an A fragment, as codes
    float minimum_scale[2]; // with kHasMinimums
};

// bf16 form of 32 columns: A fragments of two mma_bf16, columns + 0..3 and + 4..7 of each lane.
struct GroupHalves {
    uint32_t a[2][4];
};

// Where load reads from.
struct ReadGlobal {
    static __device__ __forceinline__ uint4 vector(const void *from) {
        return device::load_once(static_cast<const uint4 *>(from));
    }
    static __device__ __forceinline__ uint2 pair(const void *from) {
        return __ldg(static_cast<const uint2 *>(from));
    }
    static __device__ __forceinline__ uint32_t word(const void *from) {
        return __ldg(static_cast<const uint32_t *>(from));
    }
    static __device__ __forceinline__ uint32_t byte(const void *from) {
        return __ldg(static_cast<const uint8_t *>(from));
    }
};
struct ReadShared {
    static __device__ __forceinline__ uint4 vector(const void *from) {
        return *static_cast<const uint4 *>(from);
    }
    static __device__ __forceinline__ uint2 pair(const void *from) {
        return *static_cast<const uint2 *>(from);
    }
    static __device__ __forceinline__ uint32_t word(const void *from) {
        return *static_cast<const uint32_t *>(from);
    }
    static __device__ __forceinline__ uint32_t byte(const void *from) {
        return *static_cast<const uint8_t *>(from);
    }
};

// 2^(e - 127) of an E8M0 byte; 0 is the subnormal 2^-127. 255 (NaN) is refused at load.
__device__ __forceinline__ float e8m0_to_float(uint32_t e) {
    return __uint_as_float(e == 0 ? 0x00400000u : e << 23);
}
// Byte i of a word as a signed number.
__device__ __forceinline__ float signed_byte(uint32_t word, int i) {
    return float(int32_t(word << (24 - 8 * i)) >> 24);
}
__device__ __forceinline__ uint32_t word(const uint4 &vector, int i) {
    return i == 0 ? vector.x : i == 1 ? vector.y : i == 2 ? vector.z : vector.w;
}

// Formats whose codes come by a table have two: one in global memory, which is always there, and
// one in shared memory. The others have neither.
struct NoTable {
    static constexpr int kWords = 0; // of shared memory
    __device__ explicit NoTable(const uint32_t * = nullptr) {}
    static __device__ __forceinline__ void fill(uint32_t *) {}
};

// `codes` of a format with minimums by its parts, which are:
//       using SharedTable, GlobalTable;
//       static void words(const Raw &, int group, table, uint32_t (&a)[4]);
//       static void minimums(const Raw &, int group, uint32_t (&a)[4]);
//       static Scales scales(const Raw &);                           // by all lanes
//       static float scale(const Scales &, int half, int group);     // half: row lane / 4 + 8
//       static float minimum_scale(const Scales &, int half);
template <typename Format>
__device__ __forceinline__ void codes_with_minimums(const typename Format::Raw &raw, int group,
                                                    GroupCodes &out) {
    Format::words(raw, group, typename Format::GlobalTable(), out.codes);
    Format::minimums(raw, group, out.minimums);
    const auto scales = Format::scales(raw);
#pragma unroll
    for (int half = 0; half < 2; half++) {
        out.scale[half] = Format::scale(scales, half, group);
        out.minimum_scale[half] = Format::minimum_scale(scales, half);
    }
}

// `values` of a format by its codes: exact, but for the difference, which rounds once.
template <typename Format>
__device__ __forceinline__ void values_of_codes(const typename Format::Raw &raw, int group,
                                                float (&out)[2][8]) {
    GroupCodes codes;
    Format::codes(raw, group, codes);
#pragma unroll
    for (int i = 0; i < 16; i++) {
        const int half = i / 8, word = i % 8 / 4 * 2 + half;
        out[half][i % 8] = codes.scale[half] * signed_byte(codes.codes[word], i % 4);
        if constexpr (Format::kHasMinimums)
            out[half][i % 8] -= codes.minimum_scale[half] * signed_byte(codes.minimums[word], 0);
    }
}

} // namespace ds4::kernels::formats
