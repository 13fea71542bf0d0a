#include "machine/instruction_sets.h"

#include <cpuid.h>
#include <cstdint>
#include <sys/syscall.h>
#include <unistd.h>

namespace ds4 {
namespace machine {
namespace {

struct Registers {
    uint32_t a = 0, b = 0, c = 0, d = 0; // EAX to EDX, zero for a leaf that the CPU lacks
};

Registers cpuid(uint32_t leaf, uint32_t subleaf) {
    Registers found;
    if (__get_cpuid_count(leaf, subleaf, &found.a, &found.b, &found.c, &found.d) == 0) return {};
    return found;
}

bool all(uint32_t word, uint32_t bits) { return (word & bits) == bits; }

// Register state that the system saves: bit 1 SSE, 2 AVX, 5..7 AVX-512, 17..18 AMX.
uint64_t saved_state() {
    if (!all(cpuid(1, 0).c, bit_OSXSAVE)) return 0;
    uint32_t low = 0, high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return uint64_t(high) << 32 | low;
}

bool saves(uint64_t state) { return (saved_state() & state) == state; }

struct Features {
    bool avx2 = false, avx512 = false, avx512_bf16 = false, tiles = false, is_amd = false;
};

Features detect() {
    constexpr uint64_t kAvxState = 0x6, kAvx512State = 0xe6, kTileState = 0x60000;
    constexpr uint32_t kAuth = 0x68747541; // "AuthenticAMD" begins so
    constexpr uint32_t kAvx512B = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ,
                       kAvx512C = bit_AVX512VBMI | bit_AVX512VNNI;
    constexpr uint32_t kAvx512Bf16 = 1u << 5, kAmxBf16 = 1u << 22, kAmxTile = 1u << 24;
    Features found;
    const Registers leaf1 = cpuid(1, 0), leaf7 = cpuid(7, 0);
    found.is_amd = cpuid(0, 0).b == kAuth;
    found.avx2 =
        saves(kAvxState) && all(leaf1.c, bit_AVX | bit_FMA | bit_F16C) && all(leaf7.b, bit_AVX2);
    found.avx512 =
        found.avx2 && saves(kAvx512State) && all(leaf7.b, kAvx512B) && all(leaf7.c, kAvx512C);
    found.avx512_bf16 = found.avx512 && all(cpuid(7, 1).a, kAvx512Bf16);
    found.tiles = found.avx512_bf16 && saves(kTileState) && all(leaf7.d, kAmxBf16 | kAmxTile);
    return found;
}

const Features &features() {
    static const Features found = detect();
    return found;
}

// The 8 KB of tile state are saved only for processes that have asked.
bool may_use_tiles() {
    constexpr long kRequestPermission = 0x1023, kTileData = 18; // ARCH_REQ_XCOMP_PERM, component
    static const bool granted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
    return granted;
}

} // namespace

bool has(Isa isa) {
    switch (isa) {
    case Isa::generic: return true;
    case Isa::avx2: return features().avx2;
    case Isa::avx512: return features().avx512;
    case Isa::amx: return features().tiles && may_use_tiles();
    }
    return false;
}

Isa best_isa() {
    if (has(Isa::avx512)) return Isa::avx512;
    return has(Isa::avx2) ? Isa::avx2 : Isa::generic;
}

bool has_avx512_bf16() { return features().avx512_bf16; }
bool is_amd() { return features().is_amd; }

} // namespace machine

const char *isa_name(Isa isa) {
    switch (isa) {
    case Isa::generic: return "generic";
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
    case Isa::amx: return "amx";
    }
    return "unknown";
}

} // namespace ds4
