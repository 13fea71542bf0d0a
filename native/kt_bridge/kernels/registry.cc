// Which kernels this CPU can run: decided here and nowhere else.
#include <cpuid.h>
#include <initializer_list>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/mxfp4_f32_tables.h"
#include "kernels/row_methods.h"
#include "kernels/tile_kernels.h"

namespace ds4::ktb {
namespace {

struct CpuFeatures {
    bool avx2 = false;
    bool avx512 = false; // F, BW, VL, DQ, VNNI, VBMI: Ice Lake or Zen 4 and later
    bool avx512_bf16 = false;
    bool permutes_freely = false; // Zen: on ports that dot instructions leave idle
    bool amx = false; // AMX-TILE and AMX-BF16 beside both of the above, and the system's permission
};

// Tile state is 8 KB that the system saves only for processes that have asked; threads share the
// permission.
bool ask_for_tiles() {
    constexpr long kRequest = 0x1023, kTileData = 18; // ARCH_REQ_XCOMP_PERM, state component
    return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
}

uint64_t saved_state() {
    uint32_t low = 0, high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return uint64_t(high) << 32 | low;
}

CpuFeatures detect() {
    CpuFeatures found;
    uint32_t a = 0, b = 0, c = 0, d = 0;
    constexpr uint32_t kAuth = 0x68747541; // "AuthenticAMD"
    found.permutes_freely = __get_cpuid(0, &a, &b, &c, &d) != 0 && b == kAuth;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0) return found;
    const auto bit = [](uint32_t word, int index) { return (word >> index & 1u) != 0; };
    if (!bit(c, 27)) return found; // no XGETBV
    const bool fma = bit(c, 12), f16c = bit(c, 29);
    const uint64_t state = saved_state();
    const bool ymm = (state & 0x6) == 0x6, zmm = (state & 0xe6) == 0xe6,
               tiles = (state & 0x60000) == 0x60000;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return found;
    found.avx2 = ymm && fma && f16c && bit(b, 5);
    found.avx512 = found.avx2 && zmm && bit(b, 16) && bit(b, 17) && bit(b, 30) && bit(b, 31) &&
                   bit(c, 1) && bit(c, 11);
    const bool amx = tiles && bit(d, 24) && bit(d, 22);
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d) != 0) found.avx512_bf16 = found.avx512 && bit(a, 5);
    found.amx = found.avx512_bf16 && amx && ask_for_tiles();
    return found;
}

const CpuFeatures &features() {
    static const CpuFeatures found = detect();
    return found;
}

const Kernels &mxfp4_kernels(Isa isa, bool int8) {
    if (isa == Isa::generic) return int8 ? kGenericInt8 : kGenericBf16;
    if (isa >= Isa::avx512 && int8)
        return features().permutes_freely ? kAvx512Int8Decoding : kAvx512Int8;
    if (isa >= Isa::avx512 && features().avx512_bf16) return kAvx512Bf16;
    return int8 ? kAvx2Int8 : kAvx2Bf16;
}

constexpr size_t kMethodCount = size_t(Method::iq2_xxs) + 1, kIsaCount = 3, kNumericsCount = 4;
size_t table_index(Method gate_up, Method down, Isa isa, Numerics numerics) {
    return ((size_t(gate_up) * kMethodCount + size_t(down)) * kIsaCount + size_t(isa)) *
               kNumericsCount +
           size_t(numerics);
}

// Everything but MXFP4 with rounded activations; places without a table stay empty.
std::vector<Kernels> other_tables() {
    std::vector<Kernels> tables(kMethodCount * kMethodCount * kIsaCount * kNumericsCount,
                                Kernels{});
    for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512}) {
        const Kernels &base = isa == Isa::avx512 ? kAvx512Int8 : mxfp4_kernels(isa, true);
        tables[table_index(Method::mxfp4, Method::mxfp4, isa, Numerics::f32)] =
            mxfp4_f32_kernels(isa, base);
        for (size_t gate_up = 1; gate_up < kMethodCount; gate_up++)
            for (size_t down = 1; down < kMethodCount; down++)
                for (Numerics numerics :
                     {Numerics::int8, Numerics::bf16, Numerics::fp8ref, Numerics::f32})
                    tables[table_index(Method(gate_up), Method(down), isa, numerics)] =
                        row_method_kernels(Method(gate_up), Method(down), isa, numerics, base);
    }
    return tables;
}

} // namespace

const char *isa_name(Isa isa) {
    switch (isa) {
    case Isa::generic: return "generic";
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
    case Isa::amx: return "amx";
    }
    return "unknown";
}

const char *numerics_name(Numerics numerics) {
    switch (numerics) {
    case Numerics::int8: return "int8";
    case Numerics::bf16: return "bf16";
    case Numerics::fp8ref: return "fp8ref";
    case Numerics::f32: return "f32";
    }
    return "unknown";
}

bool cpu_has(Isa isa) {
    switch (isa) {
    case Isa::generic: return true;
    case Isa::avx2: return features().avx2;
    case Isa::avx512: return features().avx512;
    case Isa::amx: return features().amx;
    }
    return false;
}

Isa best_isa() {
    for (Isa isa : {Isa::avx512, Isa::avx2}) // amx only when asked for or measured: it gives up
                                             // that batches leave the bits alone
        if (cpu_has(isa)) return isa;
    return Isa::generic;
}

bool have_same_bits(Method gate_up, Method down, Numerics numerics) {
    return gate_up == Method::mxfp4 && down == Method::mxfp4 &&
           (numerics == Numerics::int8 || numerics == Numerics::f32);
}

const Kernels *kernels_for(Method gate_up, Method down, Isa isa, Numerics numerics) {
    const bool tiles = gate_up == Method::mxfp4 && down == Method::mxfp4;
    if (tiles && numerics != Numerics::f32) return &mxfp4_kernels(isa, numerics == Numerics::int8);
    if (!tiles && (gate_up == Method::mxfp4 || down == Method::mxfp4)) return nullptr;
    if (numerics == Numerics::int8 && has_int8_form(gate_up) != has_int8_form(down)) return nullptr;
    static const std::vector<Kernels> tables = other_tables();
    return &tables[table_index(gate_up, down, isa == Isa::amx ? Isa::avx512 : isa, numerics)];
}

const TileKernels *tile_kernels_for(Method method, Isa isa) {
    return method == Method::mxfp4 && isa == Isa::amx ? &kAmxMxfp4 : nullptr;
}

} // namespace ds4::ktb
