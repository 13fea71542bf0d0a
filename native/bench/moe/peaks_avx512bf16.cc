#include "moe/peaks.h"
#include "moe/register_loop.h"

namespace ds4::bench {
namespace {

bool supported() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bf16");
}

double bf16_dot(uint64_t rounds) {
    for (uint64_t round = 0; round < rounds; round++)
        __asm__ volatile(DS4_SUMS16("vdpbf16ps", "zmm", "30", "31") : : : DS4_SUM_REGISTERS("xmm"));
    __asm__ volatile("vzeroupper" : : : DS4_SUM_REGISTERS("xmm"));
    return double(rounds) * 16 * 32 * 2;
}

} // namespace

const PeakLoop kBf16Dot = {"vdpbf16ps", supported, bf16_dot};

} // namespace ds4::bench
