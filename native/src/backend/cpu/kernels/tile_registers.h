// Tile instructions. g++ 12 has no way to name a tile register by a variable, so they are templates
// over its number. The namespace is unnamed because files compiled for tiles alone include this.
#pragma once
#include <cstdint>

namespace ds4::cpu {
namespace {

template <int t> void tile_zero() { __asm__ volatile("tilezero %%tmm%c0" ::"n"(t)); }
template <int t> void tile_load(const void *address, int64_t stride) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(address), "r"(stride), "n"(t)
                     : "memory");
}
template <int t> void tile_store(void *address, int64_t stride) {
    __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(address), "r"(stride), "n"(t)
                     : "memory");
}
// Adds a times b, pairs of bf16, to c.
template <int c, int a, int b> void tile_dot() {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"n"(c), "n"(a), "n"(b));
}

// Sixteen rows of 64 bytes in every register, but those of `some` rows from the first on.
inline void configure_tiles(int some_registers, int some_rows) {
    struct alignas(64) Configuration {
        uint8_t palette = 1, start_row = 0, reserved[14] = {};
        uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
        uint8_t rows[16] = {};
    };
    static_assert(sizeof(Configuration) == 64);
    Configuration configuration;
    for (int t = 0; t < 8; t++)
        configuration.rows[t] = uint8_t(t < some_registers ? some_rows : 16);
    __asm__ volatile("ldtilecfg %0" ::"m"(configuration));
}
inline void release_tiles() { __asm__ volatile("tilerelease" ::: "memory"); }

} // namespace
} // namespace ds4::cpu
