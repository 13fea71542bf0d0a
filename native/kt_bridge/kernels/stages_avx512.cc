#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/stages.h"

namespace ds4::ktb {
namespace {

// e^x for x <= 88. With x = n ln2 + f and |f| <= ln2 / 2 it is a degree-7 series of e^f (error
// 5e-9) times 2^n. Below -87 the result is a denormal or 0. NaN stays.
inline __m512 exponential(__m512 x) {
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 0x08);
    __m512 f = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x); // ln2 in two parts
    f = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), f);
    __m512 p = _mm512_set1_ps(1.0f / 5040);
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f / 720));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f / 120));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f / 24));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f / 6));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.5f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

} // namespace

void swiglu_avx512(const float *sums, float limit, float *h) {
    const __m512 one = _mm512_set1_ps(1.0f);
    for (int i = 0; i < kGroup; i += 16) {
        __m512 gate = _mm512_loadu_ps(sums + i), up = _mm512_loadu_ps(sums + kGroup + i);
        // min(a, b) and max(a, b) return b when either is NaN, so that the value goes second.
        if (limit > 0) {
            gate = _mm512_min_ps(_mm512_set1_ps(limit), gate);
            up = _mm512_max_ps(_mm512_set1_ps(-limit), _mm512_min_ps(_mm512_set1_ps(limit), up));
        }
        const __m512 minus =
            _mm512_min_ps(_mm512_set1_ps(88.0f), _mm512_sub_ps(_mm512_setzero_ps(), gate));
        const __m512 silu = _mm512_div_ps(gate, _mm512_add_ps(one, exponential(minus)));
        _mm512_storeu_ps(h + i, _mm512_mul_ps(silu, up));
    }
}

void add_scaled_avx512(const float *sums, float weight, float *y, int count) {
    const __m512 factor = _mm512_set1_ps(weight);
    for (int i = 0; i < count; i += 16)
        _mm512_storeu_ps(
            y + i, _mm512_fmadd_ps(factor, _mm512_loadu_ps(sums + i), _mm512_loadu_ps(y + i)));
}

void add_avx512(const float *x, float *y, int count) {
    for (int i = 0; i < count; i += 16)
        _mm512_storeu_ps(y + i, _mm512_add_ps(_mm512_loadu_ps(y + i), _mm512_loadu_ps(x + i)));
}

} // namespace ds4::ktb
