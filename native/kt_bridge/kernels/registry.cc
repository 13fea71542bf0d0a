// Maps (methods, instruction set, numerics) to kernel tables. Only this file decides.
#include <initializer_list>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/mxfp4_f32_tables.h"
#include "kernels/row_methods.h"
#include "kernels/tile_kernels.h"
#include "machine/instruction_sets.h"

namespace ds4::ktb {
namespace {

const Kernels &mxfp4_kernels(Isa isa, bool int8) {
    if (isa == Isa::generic) return int8 ? kGenericInt8 : kGenericBf16;
    if (isa >= Isa::avx512 && int8)
        // Zen permutes bytes on ports that dot instructions leave idle.
        return machine::is_amd() ? kAvx512Int8Decoding : kAvx512Int8;
    if (isa >= Isa::avx512 && machine::has_avx512_bf16()) return kAvx512Bf16;
    return int8 ? kAvx2Int8 : kAvx2Bf16;
}

constexpr size_t kMethodCount = size_t(Method::iq2_xxs) + 1, kIsaCount = 3, kNumericsCount = 4;
size_t table_index(Method gate_up, Method down, Isa isa, Numerics numerics) {
    return ((size_t(gate_up) * kMethodCount + size_t(down)) * kIsaCount + size_t(isa)) *
               kNumericsCount +
           size_t(numerics);
}

// All tables but those of MXFP4 with rounded activations; places without a table stay empty.
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

const char *numerics_name(Numerics numerics) {
    switch (numerics) {
    case Numerics::int8: return "int8";
    case Numerics::bf16: return "bf16";
    case Numerics::fp8ref: return "fp8ref";
    case Numerics::f32: return "f32";
    }
    return "unknown";
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
