// What the machine offers, as JSON, found once.
#include <cpuid.h>
#include <sched.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "api/boundary.h"
#include "backend/cpu/kernels/matmul.h"
#ifdef DS4_HAVE_CUDA
#include "backend/cuda/devices.h"
#endif

namespace ds4::api {
namespace {

std::string quoted(const std::string &text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (uint8_t(c) >= 32) out += c;
    }
    return out + "\"";
}

std::string cpu_model() {
    uint32_t words[12] = {}, highest = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(0x80000000u, &highest, &b, &c, &d) == 0 || highest < 0x80000004u) return "unknown";
    for (uint32_t leaf = 0; leaf < 3; leaf++)
        __get_cpuid(0x80000002u + leaf, &words[4 * leaf], &words[4 * leaf + 1], &words[4 * leaf + 2],
                    &words[4 * leaf + 3]);
    char text[sizeof words + 1] = {};
    std::memcpy(text, words, sizeof words);
    const std::string name = text;
    const size_t begin = name.find_first_not_of(' '), end = name.find_last_not_of(' ');
    return begin == std::string::npos ? "unknown" : name.substr(begin, end - begin + 1);
}

// Features of the CPU that some kernel set asks for, whether or not the system enables their registers.
std::string cpu_features() {
    struct Feature { const char *name; uint32_t leaf; char reg; uint32_t bit; };
    static constexpr Feature kFeatures[] = {
        {"avx", 1, 'c', 28},        {"fma", 1, 'c', 12},         {"f16c", 1, 'c', 29},
        {"avx2", 7, 'b', 5},        {"avx512f", 7, 'b', 16},     {"avx512dq", 7, 'b', 17},
        {"avx512bw", 7, 'b', 30},   {"avx512vl", 7, 'b', 31},    {"avx512vbmi", 7, 'c', 1},
        {"avx512vnni", 7, 'c', 11}, {"amx_bf16", 7, 'd', 22},    {"amx_tile", 7, 'd', 24},
        {"amx_int8", 7, 'd', 25},
    };
    std::string list;
    for (const Feature &feature : kFeatures) {
        uint32_t a = 0, b = 0, c = 0, d = 0;
        if (__get_cpuid_count(feature.leaf, 0, &a, &b, &c, &d) == 0) continue;
        const uint32_t value = feature.reg == 'b' ? b : feature.reg == 'c' ? c : d;
        if ((value >> feature.bit & 1) == 0) continue;
        list += (list.empty() ? "" : ",") + quoted(feature.name);
    }
    return "[" + list + "]";
}

int affinity_cpus() {
    // Larger sets than cpu_set_t exist; ask with growing room.
    for (int cpus = 1024; cpus <= 1 << 20; cpus *= 4) {
        cpu_set_t *set = CPU_ALLOC(cpus);
        if (set == nullptr) return 1;
        const size_t bytes = CPU_ALLOC_SIZE(cpus);
        CPU_ZERO_S(bytes, set);
        const bool known = sched_getaffinity(0, bytes, set) == 0;
        const int count = known ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (count > 0) return count;
    }
    return 1;
}

std::string read_file(const std::string &path) {
    std::FILE *file = std::fopen(path.c_str(), "re");
    if (file == nullptr) return "";
    char text[4096];
    const size_t count = std::fread(text, 1, sizeof text, file);
    std::fclose(file);
    return std::string(text, count);
}

// CPUs that one cgroup directory grants, 0 if it sets no limit.
double quota_of(const std::string &folder) {
    double quota = 0, period = 0;
    if (std::sscanf(read_file(folder + "/cpu.max").c_str(), "%lf %lf", &quota, &period) == 2 && period > 0)
        return quota / period;
    if (std::sscanf(read_file(folder + "/cpu.cfs_quota_us").c_str(), "%lf", &quota) == 1 && quota > 0 &&
        std::sscanf(read_file(folder + "/cpu.cfs_period_us").c_str(), "%lf", &period) == 1 && period > 0)
        return quota / period;
    return 0;
}

// The smallest quota from this process's cgroup up to the root, 0 if none is set.
double cgroup_quota() {
    double smallest = 0;
    const std::string groups = read_file("/proc/self/cgroup");
    for (size_t begin = 0; begin < groups.size();) {
        size_t end = groups.find('\n', begin);
        if (end == std::string::npos) end = groups.size();
        const std::string line = groups.substr(begin, end - begin);
        begin = end + 1;
        const size_t first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        if (!controllers.empty() && controllers.find("cpu") == std::string::npos) continue;
        const std::string root = controllers.empty() ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
        for (std::string path = line.substr(second + 1);; path.resize(path.rfind('/'))) {
            const double quota = quota_of(root + (path == "/" ? "" : path));
            if (quota > 0 && (smallest == 0 || quota < smallest)) smallest = quota;
            if (path.empty() || path == "/" || path.rfind('/') == std::string::npos) break;
        }
    }
    return smallest;
}

std::string cuda_json() {
#ifdef DS4_HAVE_CUDA
    std::string list;
    for (const cuda::Device &device : cuda::devices()) {
        char numbers[160];
        std::snprintf(numbers, sizeof numbers, ",\"memory_bytes\":%llu,\"compute_capability\":\"%d.%d\",\"multiprocessors\":%d}",
                      (unsigned long long)device.memory_bytes, device.major, device.minor, device.multiprocessors);
        list += (list.empty() ? "" : ",") + ("{\"name\":" + quoted(device.name)) + numbers;
    }
    return "\"cuda\":true,\"cuda_devices\":[" + list + "]";
#else
    return "\"cuda\":false,\"cuda_devices\":[]";
#endif
}

std::string describe() {
    const int cpus = affinity_cpus();
    const double quota = cgroup_quota();
    int usable = cpus;
    if (quota > 0 && quota < usable) usable = quota < 1 ? 1 : int(quota);
    char quota_text[32] = "null";
    if (quota > 0) std::snprintf(quota_text, sizeof quota_text, "%.2f", quota);
    std::string sets;
    for (const cpu::Isa isa : {cpu::Isa::generic, cpu::Isa::avx2, cpu::Isa::avx512})
        if (cpu::isa_supported(isa)) sets += (sets.empty() ? "" : ",") + quoted(cpu::isa_name(isa));
    return "{\"cpu\":" + quoted(cpu_model()) + ",\"features\":" + cpu_features() + ",\"isa\":" +
           quoted(cpu::isa_name(cpu::best_isa())) + ",\"isas\":[" + sets + "],\"usable_cores\":" +
           std::to_string(usable) + ",\"affinity_cpus\":" + std::to_string(cpus) + ",\"cgroup_cpus\":" + quota_text +
           "," + cuda_json() + "}";
}

} // namespace
} // namespace ds4::api

extern "C" const char *ds4_machine(void) {
    return ds4::api::guarded_value("{}", [] {
        static const std::string text = ds4::api::describe();
        return text.c_str();
    });
}
