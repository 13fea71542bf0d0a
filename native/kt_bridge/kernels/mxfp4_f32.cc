// The plain form, and the tables of all three instruction sets.
#include "kernels/mxfp4_f32.h"

#include "kernels/mxfp4_f32_tables.h"
#include "format/scalar.h"

namespace ds4::ktb {
namespace {

struct Plain {
    using Lanes = float;
    using Codes = uint32_t;
    static constexpr int kWidth = 1, kTokens = 4;
    static inline Lanes zero() { return 0; }
    static inline Lanes all(const float *from) { return *from; }
    static inline Lanes load(const float *from) { return *from; }
    static inline void store(float *to, Lanes value) { *to = value; }
    static inline Lanes add(Lanes a, Lanes b) { return a + b; }
    // Baseline x86-64 has no fused multiply-add.
    static inline Lanes fma(Lanes a, Lanes b, Lanes c) { return a * b + c; }
    static inline Codes load_codes(const uint8_t *from) {
        uint32_t codes;
        __builtin_memcpy(&codes, from, sizeof codes);
        return codes;
    }
    static inline Lanes value(Codes codes, int nibble) {
        return 0.5f * float(e2m1_doubled(codes >> (nibble * 4)));
    }
    static inline Lanes scales(const uint8_t *from) { return e8m0_as_exponent(*from); }
};

} // namespace

Kernels mxfp4_f32_kernels(Isa isa, const Kernels &base) {
    Kernels made = base;
    made.isa = isa_name(isa);
    made.numerics = "f32";
    made.group_bytes = kGroup * sizeof(float);
    made.prepare = prepare_mxfp4_f32;
    made.panel = made.down_panel = isa == Isa::avx512 ? mxfp4_f32_panel_avx512
                                   : isa == Isa::avx2 ? mxfp4_f32_panel_avx2
                                                      : panel_f32<Plain>;
    made.down = isa == Isa::avx512 ? mxfp4_f32_down_avx512
                : isa == Isa::avx2 ? mxfp4_f32_down_avx2
                                   : down_f32<Plain>;
    return made;
}

} // namespace ds4::ktb
