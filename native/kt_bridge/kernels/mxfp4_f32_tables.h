// MXFP4 with f32 activations.
#pragma once
#include "kernels/kernels.h"

namespace ds4::ktb {

void mxfp4_f32_panel_avx2(const PanelArgs &args);
void mxfp4_f32_down_avx2(const DownArgs &args);
void mxfp4_f32_panel_avx512(const PanelArgs &args);
void mxfp4_f32_down_avx512(const DownArgs &args);
// base: the table of the same instruction set, from which the stages without products come.
Kernels mxfp4_f32_kernels(Isa isa, const Kernels &base);

} // namespace ds4::ktb
