// int8 activations with AVX-512 VNNI, for processors whose byte permutes run beside dot
// instructions. Every micro-kernel decodes weights for itself.
#include "kernels/int8_avx512.h"
#include "kernels/stages.h"

namespace ds4::ktb {
namespace {

using MicroKernels = PanelMicroKernels<Int8Arithmetic<false>>;

} // namespace

const Kernels kAvx512Int8Decoding = {"avx512",
                                     "int8",
                                     sizeof(Int8Group),
                                     prepare<false>,
                                     MicroKernels::panel,
                                     MicroKernels::panel,
                                     MicroKernels::down,
                                     swiglu_avx512,
                                     add_scaled_avx512,
                                     add_avx512};

} // namespace ds4::ktb
