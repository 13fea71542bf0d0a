#include <immintrin.h>

#include "kernels/mxfp4_f32.h"
#include "kernels/stages.h"

namespace ds4::ktb {
namespace {

struct Avx2 {
    using Lanes = __m256;
    using Codes = __m256i;
    static constexpr int kWidth = 8, kTokens = 3;
    static inline Lanes zero() { return _mm256_setzero_ps(); }
    static inline Lanes all(const float *from) { return _mm256_broadcast_ss(from); }
    static inline Lanes load(const float *from) { return _mm256_loadu_ps(from); }
    static inline void store(float *to, Lanes value) { _mm256_storeu_ps(to, value); }
    static inline Lanes add(Lanes a, Lanes b) { return _mm256_add_ps(a, b); }
    static inline Lanes fma(Lanes a, Lanes b, Lanes c) { return _mm256_fmadd_ps(a, b, c); }
    static inline Codes load_codes(const uint8_t *from) {
        return _mm256_load_si256(reinterpret_cast<const __m256i *>(from));
    }
    // The permute looks up the magnitude by three bits. The sign bit above them goes to the top.
    static inline Lanes value(Codes codes, int nibble) {
        const __m256 magnitudes = _mm256_setr_ps(0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f);
        const __m256 magnitude =
            _mm256_permutevar8x32_ps(magnitudes, _mm256_srli_epi32(codes, nibble * 4));
        const __m256i sign = _mm256_and_si256(_mm256_slli_epi32(codes, 28 - nibble * 4),
                                              _mm256_set1_epi32(int(0x80000000u)));
        return _mm256_xor_ps(magnitude, _mm256_castsi256_ps(sign));
    }
    static inline Lanes scales(const uint8_t *from) {
        const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i *>(from));
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu8_epi32(bytes), 23));
    }
};

} // namespace

void mxfp4_f32_panel_avx2(const PanelArgs &args) { panel_f32<Avx2>(args); }
void mxfp4_f32_down_avx2(const DownArgs &args) { down_f32<Avx2>(args); }

} // namespace ds4::ktb
