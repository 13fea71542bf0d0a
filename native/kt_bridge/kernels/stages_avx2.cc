#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/stages.h"

namespace ds4::ktb {
namespace {

// e^x as in stages_avx512.cc. The exponent is capped so that 2^n stays a normal number, which
// matters for gates below -87 only.
inline __m256 exponential(__m256 x) {
    const __m256 capped = _mm256_max_ps(_mm256_set1_ps(-87.0f), x);
    const __m256 n = _mm256_round_ps(_mm256_mul_ps(capped, _mm256_set1_ps(1.44269504f)), 0x08);
    __m256 f = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), capped);
    f = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), f);
    __m256 p = _mm256_set1_ps(1.0f / 5040);
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1.0f / 720));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1.0f / 120));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1.0f / 24));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1.0f / 6));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(0.5f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1.0f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1.0f));
    const __m256i exponent =
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(p, _mm256_castsi256_ps(exponent));
}

} // namespace

void swiglu_avx2(const float *sums, float limit, float *h) {
    const __m256 one = _mm256_set1_ps(1.0f);
    for (int i = 0; i < kGroup; i += 8) {
        __m256 gate = _mm256_loadu_ps(sums + i), up = _mm256_loadu_ps(sums + kGroup + i);
        // min(a, b) and max(a, b) return b when either is NaN, so that the value goes second.
        if (limit > 0) {
            gate = _mm256_min_ps(_mm256_set1_ps(limit), gate);
            up = _mm256_max_ps(_mm256_set1_ps(-limit), _mm256_min_ps(_mm256_set1_ps(limit), up));
        }
        const __m256 minus =
            _mm256_min_ps(_mm256_set1_ps(88.0f), _mm256_sub_ps(_mm256_setzero_ps(), gate));
        const __m256 silu = _mm256_div_ps(gate, _mm256_add_ps(one, exponential(minus)));
        _mm256_storeu_ps(h + i, _mm256_mul_ps(silu, up));
    }
}

void add_scaled_avx2(const float *sums, float weight, float *y, int count) {
    const __m256 factor = _mm256_set1_ps(weight);
    for (int i = 0; i < count; i += 8)
        _mm256_storeu_ps(
            y + i, _mm256_fmadd_ps(factor, _mm256_loadu_ps(sums + i), _mm256_loadu_ps(y + i)));
}

void add_avx2(const float *x, float *y, int count) {
    for (int i = 0; i < count; i += 8)
        _mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_loadu_ps(y + i), _mm256_loadu_ps(x + i)));
}

} // namespace ds4::ktb
