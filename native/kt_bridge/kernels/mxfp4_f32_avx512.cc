#include <immintrin.h>

#include "kernels/mxfp4_f32.h"
#include "kernels/stages.h"

namespace ds4::ktb {
namespace {

struct Avx512 {
    using Lanes = __m512;
    using Codes = __m512i;
    static constexpr int kWidth = 16, kTokens = 8;
    static inline Lanes zero() { return _mm512_setzero_ps(); }
    static inline Lanes all(const float *from) { return _mm512_set1_ps(*from); }
    static inline Lanes load(const float *from) { return _mm512_loadu_ps(from); }
    static inline void store(float *to, Lanes value) { _mm512_storeu_ps(to, value); }
    static inline Lanes add(Lanes a, Lanes b) { return _mm512_add_ps(a, b); }
    static inline Lanes fma(Lanes a, Lanes b, Lanes c) { return _mm512_fmadd_ps(a, b, c); }
    static inline Codes load_codes(const uint8_t *from) { return _mm512_load_si512(from); }
    // The permute ignores the bits above the nibble.
    static inline Lanes value(Codes codes, int nibble) {
        const __m512 values = _mm512_setr_ps(0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f, -0.0f,
                                             -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f);
        return _mm512_permutexvar_ps(_mm512_srli_epi32(codes, unsigned(nibble) * 4), values);
    }
    static inline Lanes scales(const uint8_t *from) {
        const __m512i bytes =
            _mm512_cvtepu8_epi32(_mm_load_si128(reinterpret_cast<const __m128i *>(from)));
        return _mm512_castsi512_ps(_mm512_slli_epi32(bytes, 23));
    }
};

} // namespace

void mxfp4_f32_panel_avx512(const PanelArgs &args) { panel_f32<Avx512>(args); }
void mxfp4_f32_down_avx512(const DownArgs &args) { down_f32<Avx512>(args); }

} // namespace ds4::ktb
