// The stages without products, which all tables of an instruction set share.
#pragma once

namespace ds4::ktb {

void swiglu_avx2(const float *sums, float limit, float *h);
void add_scaled_avx2(const float *sums, float weight, float *y, int count);
void add_avx2(const float *x, float *y, int count);
void swiglu_avx512(const float *sums, float limit, float *h);
void add_scaled_avx512(const float *sums, float weight, float *y, int count);
void add_avx512(const float *x, float *y, int count);

} // namespace ds4::ktb
