#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "moe/peaks.h"

namespace ds4::bench {
namespace {

constexpr int kRequestPermission = 0x1023,
              kTileData = 18; // arch_prctl: ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA

// Whether the CPU has bf16 tiles, and the system saves their state and lets this process use them.
bool supported() {
    uint32_t a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c >> 27 & 1u) == 0) return false;
    uint32_t low = 0, high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & 0x60000u) != 0x60000u) return false;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d >> 22 & 1u) == 0 || (d >> 24 & 1u) == 0)
        return false;
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

struct alignas(64) TileConfig {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
};

TileConfig configure() {
    TileConfig config;
    for (int tile = 0; tile < 8; tile++) config.row_bytes[tile] = 64, config.rows[tile] = 16;
    return config;
}

constexpr size_t kTileBytes = 1024,
                 kFedTiles = 8; // of each operand: 32 KB in all, which stay in L1

void load_operands(const uint8_t *a, const uint8_t *b) {
    _tile_loadd(4, a, 64);
    _tile_loadd(5, a + kTileBytes, 64);
    _tile_loadd(6, b, 64);
    _tile_loadd(7, b + kTileBytes, 64);
}

// Two by two tiles of sums, 16 x 16 f32 each; a product of tiles takes 32 inputs. kFed: with the
// four loads that four products need when operands are not in registers already.
template <bool kFed> double tile_bf16(uint64_t rounds) {
    const TileConfig config = configure();
    _tile_loadconfig(&config);
    alignas(64) static const uint8_t operands[4 * kFedTiles * kTileBytes] = {};
    load_operands(operands, operands + 2 * kFedTiles * kTileBytes);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (uint64_t round = 0; round < rounds; round++) {
        if (kFed)
            load_operands(operands + round % kFedTiles * 2 * kTileBytes,
                          operands + (kFedTiles + round % kFedTiles) * 2 * kTileBytes);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    alignas(64) float sums[16 * 16];
    _tile_stored(0, sums, 64);
    __asm__ volatile("" : : "m"(sums));
    _tile_release();
    return double(rounds) * 4 * 16 * 16 * 32 * 2;
}

} // namespace

const PeakLoop kTileBf16 = {"tdpbf16ps", supported, tile_bf16<false>};
const PeakLoop kTileBf16Fed = {"its loads too", supported, tile_bf16<true>};

} // namespace ds4::bench
