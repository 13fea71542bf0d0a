#include "moe/peaks.h"
#include "moe/register_loop.h"

namespace ds4::bench {
namespace {

bool supported() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

// Four products of bytes are summed in 16 bits, as many as cannot overflow, and then widened. That
// is three maddubs and additions to one madd. Four rows overlap, each in registers of its own.
#define DS4_ROW(words, more, sum)                                                                  \
    "vpmaddubsw %%ymm14, %%ymm15, %%ymm" words "\n\t" DS4_PRODUCT(words, more)                     \
        DS4_PRODUCT(words, more) DS4_PRODUCT(words, more) "vpmaddwd %%ymm13, %%ymm" words          \
                                                          ", %%ymm" words "\n\tvpaddd %%ymm" words \
                                                          ", %%ymm" sum ", %%ymm" sum "\n\t"
#define DS4_PRODUCT(words, more)                                                                   \
    "vpmaddubsw %%ymm14, %%ymm15, %%ymm" more "\n\tvpaddw %%ymm" more ", %%ymm" words              \
    ", %%ymm" words "\n\t"

double maddubs(uint64_t rounds) {
    for (uint64_t round = 0; round < rounds; round++)
        __asm__ volatile(DS4_ROW("4", "8", "0") DS4_ROW("5", "9", "1") DS4_ROW("6", "10", "2")
                             DS4_ROW("7", "11", "3")
                         :
                         :
                         : DS4_SUM_REGISTERS("xmm"));
    __asm__ volatile("vzeroupper" : : : DS4_SUM_REGISTERS("xmm"));
    return double(rounds) * 4 * 4 * 32 * 2;
}

double fma(uint64_t rounds) {
    // zeros: what the registers hold before could be subnormal, which is slow
    __asm__ volatile(
        "vxorps %%ymm14, %%ymm14, %%ymm14\n\tvxorps %%ymm15, %%ymm15, %%ymm15\n\t" DS4_SUMS12(
            "vxorps", "ymm", "14", "14")
        :
        :
        : DS4_SUM_REGISTERS("xmm"));
    for (uint64_t round = 0; round < rounds; round++)
        __asm__ volatile(DS4_SUMS12("vfmadd231ps", "ymm", "14", "15")
                         :
                         :
                         : DS4_SUM_REGISTERS("xmm"));
    __asm__ volatile("vzeroupper" : : : DS4_SUM_REGISTERS("xmm"));
    return double(rounds) * 12 * 8 * 2;
}

} // namespace

const PeakLoop kMaddubs = {"maddubs", supported, maddubs};
const PeakLoop kFma = {"fma-f32", supported, fma};

} // namespace ds4::bench
