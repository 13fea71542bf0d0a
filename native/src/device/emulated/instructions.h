// The instructions of kernel.h on the CPU.
#pragma once
#include <cstdint>
#include <cstring>

#include "device/emulated/cuda_names.h"
#include "format/scalar.h"

namespace ds4::device {

template <typename T> T &shared_memory() {
    return *reinterpret_cast<T *>(emulated::current().shared);
}

inline uint32_t shared_address(const void *at) {
    return uint32_t(static_cast<const uint8_t *>(at) - emulated::current().shared);
}
inline uint32_t shared_word(uint32_t address) {
    DS4_ASSERT(address % 4 == 0);
    uint32_t word = 0;
    std::memcpy(&word, emulated::current().shared + address, 4);
    return word;
}

inline void await_previous() {}
inline void let_next_begin() {}

inline float f16_to_float(uint16_t bits) { return f16_to_f32(bits); }
inline uint16_t float_to_f16(float value) { return f32_to_f16(value); }
inline float bf16_to_float(uint16_t bits) { return bf16_to_f32(bits); }
inline uint16_t float_to_bf16(float value) { return f32_to_bf16(value); }
inline uint32_t floats_to_bf16x2(float low, float high) {
    return uint32_t(f32_to_bf16(low)) | uint32_t(f32_to_bf16(high)) << 16;
}
inline uint32_t floats_to_f16x2(float low, float high) {
    return uint32_t(f32_to_f16(low)) | uint32_t(f32_to_f16(high)) << 16;
}
inline uint32_t multiply_bf16x2(uint32_t a, uint32_t b) {
    return floats_to_bf16x2(bf16_to_f32(uint16_t(a)) * bf16_to_f32(uint16_t(b)),
                            bf16_to_f32(uint16_t(a >> 16)) * bf16_to_f32(uint16_t(b >> 16)));
}
inline uint32_t multiply_f16x2(uint32_t a, uint32_t b) {
    return floats_to_f16x2(f16_to_f32(uint16_t(a)) * f16_to_f32(uint16_t(b)),
                           f16_to_f32(uint16_t(a >> 16)) * f16_to_f32(uint16_t(b >> 16)));
}
inline uint32_t pick_bytes(uint32_t low, uint32_t high, uint32_t selector) {
    DS4_ASSERT((selector & 0x8888u) == 0);
    return __byte_perm(low, high, selector);
}
inline uint32_t byte_signs(uint32_t word) { return (word >> 7 & 0x01010101u) * 0xffu; }
inline uint32_t e4m3x2_to_f16x2(uint16_t codes) {
    return floats_to_f16x2(e4m3_to_f32(uint8_t(codes)), e4m3_to_f32(uint8_t(codes >> 8)));
}

namespace emulated {

struct Fragments {
    uint32_t a[4], b[2];
};

// Calls add(sum index, a word of the row, b word of the column) for the words of k in order.
template <typename Add>
void multiply_tiles(const uint32_t (&a)[4], const uint32_t (&b)[2], const Add &add) {
    static_assert(sizeof(Fragments) <= kSlotBytes);
    const int lane = int(threadIdx.x & 31u);
    Fragments mine;
    std::memcpy(mine.a, a, sizeof a), std::memcpy(mine.b, b, sizeof b);
    std::memcpy(slot(lane), &mine, sizeof mine);
    warp_barrier();
    const int row = lane / 4, column = lane % 4 * 2;
    for (int i = 0; i < 4; i++)
        for (int word = 0; word < 8; word++) {
            Fragments of_row, of_column;
            std::memcpy(&of_row, slot(row * 4 + word % 4), sizeof of_row);
            std::memcpy(&of_column, slot((column + i % 2) * 4 + word % 4), sizeof of_column);
            add(i, of_row.a[i / 2 + word / 4 * 2], of_column.b[word / 4]);
        }
    turn_slots();
}

inline void load_tiles(uint32_t (&tiles)[4], const void *row, bool is_transposed) {
    const int lane = int(threadIdx.x & 31u);
    std::memcpy(slot(lane), &row, sizeof row);
    warp_barrier();
    for (int tile = 0; tile < 4; tile++) {
        uint16_t pair[2];
        for (int i = 0; i < 2; i++) {
            const int r = is_transposed ? lane % 4 * 2 + i : lane / 4,
                      c = is_transposed ? lane / 4 : lane % 4 * 2 + i;
            const uint8_t *from = nullptr;
            std::memcpy(&from, slot(tile * 8 + r), sizeof from);
            DS4_ASSERT(reinterpret_cast<uintptr_t>(from) % 16 == 0);
            std::memcpy(&pair[i], from + c * 2, 2);
        }
        tiles[tile] = uint32_t(pair[0]) | uint32_t(pair[1]) << 16;
    }
    turn_slots();
}

} // namespace emulated

inline void mma_s8(int32_t (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    emulated::multiply_tiles(a, b, [&](int i, uint32_t x, uint32_t y) {
        sum[i] = __dp4a(int32_t(x), int32_t(y), sum[i]);
    });
}
inline void mma_bf16(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    emulated::multiply_tiles(a, b, [&](int i, uint32_t x, uint32_t y) {
        sum[i] += bf16_to_f32(uint16_t(x)) * bf16_to_f32(uint16_t(y));
        sum[i] += bf16_to_f32(uint16_t(x >> 16)) * bf16_to_f32(uint16_t(y >> 16));
    });
}
inline void mma_f16(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    emulated::multiply_tiles(a, b, [&](int i, uint32_t x, uint32_t y) {
        sum[i] += f16_to_f32(uint16_t(x)) * f16_to_f32(uint16_t(y));
        sum[i] += f16_to_f32(uint16_t(x >> 16)) * f16_to_f32(uint16_t(y >> 16));
    });
}
inline void load_tiles(uint32_t (&tiles)[4], const void *row) {
    emulated::load_tiles(tiles, row, false);
}
inline void load_tiles_transposed(uint32_t (&tiles)[4], const void *row) {
    emulated::load_tiles(tiles, row, true);
}

namespace emulated {
inline void copy_bytes(void *to_shared, const void *from, bool valid, size_t bytes) {
    DS4_ASSERT(reinterpret_cast<uintptr_t>(to_shared) % bytes == 0);
    if (!valid) {
        std::memset(to_shared, 0, bytes);
        return;
    }
    DS4_ASSERT(reinterpret_cast<uintptr_t>(from) % bytes == 0);
    std::memcpy(to_shared, from, bytes);
}
} // namespace emulated

inline void copy_async(void *to_shared, const void *from, bool valid = true) {
    emulated::copy_bytes(to_shared, from, valid, 16);
}
inline void copy_async_8(void *to_shared, const void *from, bool valid = true) {
    emulated::copy_bytes(to_shared, from, valid, 8);
}
inline void copy_async_word(void *to_shared, const void *from, bool valid = true) {
    emulated::copy_bytes(to_shared, from, valid, 4);
}
inline void close_copies() {}
template <int Open> void await_copies() {}
inline uint4 load_once(const uint4 *from) { return *from; }

} // namespace ds4::device
