// Stages that both numerics of an instruction set share.
#pragma once

namespace ds4::ktb {

void swiglu_avx2(const float *sums, float limit, float *h);
void add_scaled_avx2(const float *sums, float weight, float *y);
void swiglu_avx512(const float *sums, float limit, float *h);
void add_scaled_avx512(const float *sums, float weight, float *y);

} // namespace ds4::ktb
