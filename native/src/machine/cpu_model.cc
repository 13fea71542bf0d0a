#include "machine/cpu_model.h"

#include <cpuid.h>
#include <cstdint>
#include <cstring>

namespace ds4::machine {
namespace {

struct Feature {
    const char *name;
    uint32_t leaf, subleaf;
    char word; // register that CPUID answers in: 'a' to 'd'
    int bit;
};
constexpr Feature kFeatures[] = {
    {"avx", 1, 0, 'c', 28},        {"fma", 1, 0, 'c', 12},        {"f16c", 1, 0, 'c', 29},
    {"avx2", 7, 0, 'b', 5},        {"avx512f", 7, 0, 'b', 16},    {"avx512dq", 7, 0, 'b', 17},
    {"avx512bw", 7, 0, 'b', 30},   {"avx512vl", 7, 0, 'b', 31},   {"avx512vbmi", 7, 0, 'c', 1},
    {"avx512vnni", 7, 0, 'c', 11}, {"avx512_bf16", 7, 1, 'a', 5}, {"amx_bf16", 7, 0, 'd', 22},
    {"amx_tile", 7, 0, 'd', 24},   {"amx_int8", 7, 0, 'd', 25},
};

} // namespace

std::string cpu_model() {
    constexpr uint32_t kHighest = 0x80000000u, kFirstName = 0x80000002u, kLastName = 0x80000004u;
    uint32_t words[12] = {}, highest = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(kHighest, &highest, &b, &c, &d) == 0 || highest < kLastName) return "unknown";
    for (uint32_t leaf = 0; leaf < 3; leaf++)
        __get_cpuid(kFirstName + leaf, &words[4 * leaf], &words[4 * leaf + 1], &words[4 * leaf + 2],
                    &words[4 * leaf + 3]);
    char text[sizeof words + 1] = {};
    std::memcpy(text, words, sizeof words);
    const std::string name = text;
    const size_t begin = name.find_first_not_of(' '), end = name.find_last_not_of(' ');
    return begin == std::string::npos ? "unknown" : name.substr(begin, end - begin + 1);
}

std::vector<std::string> cpu_features() {
    std::vector<std::string> names;
    for (const Feature &feature : kFeatures) {
        uint32_t a = 0, b = 0, c = 0, d = 0;
        if (__get_cpuid_count(feature.leaf, feature.subleaf, &a, &b, &c, &d) == 0) continue;
        const uint32_t words[] = {a, b, c, d};
        if ((words[feature.word - 'a'] >> feature.bit & 1) != 0) names.push_back(feature.name);
    }
    return names;
}

} // namespace ds4::machine
