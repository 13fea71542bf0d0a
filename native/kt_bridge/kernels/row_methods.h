// Tables of the methods whose tiles are canonical rows. Their products are the engine's products of
// weight rows.
#pragma once
#include "kernels/kernels.h"

namespace ds4::ktb {

// Whether int8 numerics rounds activations to int8 for this method; other methods take bf16.
bool has_int8_form(Method method);
// base: the table of the same instruction set, from which the stages without products come. Neither
// method is MXFP4, and both have the same prepared groups.
Kernels row_method_kernels(Method gate_up, Method down, Isa isa, Numerics numerics,
                           const Kernels &base);

} // namespace ds4::ktb
