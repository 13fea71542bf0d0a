#include "moe/peaks.h"
#include "moe/register_loop.h"

namespace ds4::bench {
namespace {

bool supported() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vnni");
}

double vnni(uint64_t rounds) {
    for (uint64_t round = 0; round < rounds; round++)
        __asm__ volatile(DS4_SUMS16("vpdpbusd", "zmm", "30", "31") : : : DS4_SUM_REGISTERS("xmm"));
    __asm__ volatile("vzeroupper" : : : DS4_SUM_REGISTERS("xmm"));
    return double(rounds) * 16 * 64 * 2;
}

} // namespace

const PeakLoop kVnni = {"vpdpbusd", supported, vnni};

} // namespace ds4::bench
