// What the machine offers, as JSON, found once.
#include <cpuid.h>
#include <sched.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "api/boundary.h"
#include "backend/cpu/kernels/matmul.h"
#include "machine/usable_cores.h"
#include "base/json.h"
#ifdef DS4_HAVE_CUDA
#include "backend/cuda/devices.h"
#endif

namespace ds4::api {
namespace {

std::string cpu_model() {
    uint32_t words[12] = {}, highest = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(0x80000000u, &highest, &b, &c, &d) == 0 || highest < 0x80000004u)
        return "unknown";
    for (uint32_t leaf = 0; leaf < 3; leaf++)
        __get_cpuid(0x80000002u + leaf, &words[4 * leaf], &words[4 * leaf + 1],
                    &words[4 * leaf + 2], &words[4 * leaf + 3]);
    char text[sizeof words + 1] = {};
    std::memcpy(text, words, sizeof words);
    const std::string name = text;
    const size_t begin = name.find_first_not_of(' '), end = name.find_last_not_of(' ');
    return begin == std::string::npos ? "unknown" : name.substr(begin, end - begin + 1);
}

// Features of the CPU that some kernel set asks for, whether or not the system enables their
// registers.
std::string cpu_features() {
    struct Feature {
        const char *name;
        uint32_t leaf;
        char reg;
        uint32_t bit;
    };
    static constexpr Feature kFeatures[] = {
        {"avx", 1, 'c', 28},        {"fma", 1, 'c', 12},      {"f16c", 1, 'c', 29},
        {"avx2", 7, 'b', 5},        {"avx512f", 7, 'b', 16},  {"avx512dq", 7, 'b', 17},
        {"avx512bw", 7, 'b', 30},   {"avx512vl", 7, 'b', 31}, {"avx512vbmi", 7, 'c', 1},
        {"avx512vnni", 7, 'c', 11}, {"amx_bf16", 7, 'd', 22}, {"amx_tile", 7, 'd', 24},
        {"amx_int8", 7, 'd', 25},
    };
    std::string list;
    for (const Feature &feature : kFeatures) {
        uint32_t a = 0, b = 0, c = 0, d = 0;
        if (__get_cpuid_count(feature.leaf, 0, &a, &b, &c, &d) == 0) continue;
        const uint32_t value = feature.reg == 'b' ? b : feature.reg == 'c' ? c : d;
        if ((value >> feature.bit & 1) == 0) continue;
        list += (list.empty() ? "" : ",") + json_quoted(feature.name);
    }
    return "[" + list + "]";
}

std::string cuda_json() {
#ifdef DS4_HAVE_CUDA
    std::string list;
    for (const cuda::Device &device : cuda::devices()) {
        char numbers[160];
        std::snprintf(
            numbers, sizeof numbers,
            ",\"memory_bytes\":%llu,\"compute_capability\":\"%d.%d\",\"multiprocessors\":%d}",
            (unsigned long long)device.memory_bytes, device.major, device.minor,
            device.multiprocessors);
        list += (list.empty() ? "" : ",") + ("{\"name\":" + json_quoted(device.name)) + numbers;
    }
    return "\"cuda\":true,\"cuda_devices\":[" + list + "]";
#else
    return "\"cuda\":false,\"cuda_devices\":[]";
#endif
}

std::string describe() {
    const int cpus = cpu::affinity_cpus();
    const double quota = cpu::cgroup_quota();
    char quota_text[32] = "null";
    if (quota > 0) std::snprintf(quota_text, sizeof quota_text, "%.2f", quota);
    std::string sets;
    for (const cpu::Isa isa : {cpu::Isa::generic, cpu::Isa::avx2, cpu::Isa::avx512})
        if (cpu::isa_supported(isa))
            sets += (sets.empty() ? "" : ",") + json_quoted(cpu::isa_name(isa));
    return "{\"cpu\":" + json_quoted(cpu_model()) + ",\"features\":" + cpu_features() +
           ",\"isa\":" + json_quoted(cpu::isa_name(cpu::best_isa())) + ",\"isas\":[" + sets +
           "],\"usable_cores\":" + std::to_string(cpu::usable_cores()) +
           ",\"affinity_cpus\":" + std::to_string(cpus) + ",\"cgroup_cpus\":" + quota_text + "," +
           cuda_json() + "}";
}

} // namespace
} // namespace ds4::api

extern "C" const char *ds4_machine(void) {
    return ds4::api::guarded_value("{}", [] {
        static const std::string text = ds4::api::describe();
        return text.c_str();
    });
}
