#include "backend/cpu/kernels/cache_kernels.h"

namespace ds4::cpu {

const CacheKernels &cache_kernels(Isa isa) {
    if (isa >= Isa::avx512) return kCacheKernelsAvx512;
    return isa == Isa::avx2 ? kCacheKernelsAvx2 : kCacheKernelsGeneric;
}

} // namespace ds4::cpu
