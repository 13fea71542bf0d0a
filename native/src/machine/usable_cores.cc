#include "machine/usable_cores.h"

#include <cstdio>
#include <sched.h>
#include <string>

namespace ds4::cpu {
namespace {

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
    if (std::sscanf(read_file(folder + "/cpu.max").c_str(), "%lf %lf", &quota, &period) == 2 &&
        period > 0)
        return quota / period;
    if (std::sscanf(read_file(folder + "/cpu.cfs_quota_us").c_str(), "%lf", &quota) == 1 &&
        quota > 0 &&
        std::sscanf(read_file(folder + "/cpu.cfs_period_us").c_str(), "%lf", &period) == 1 &&
        period > 0)
        return quota / period;
    return 0;
}

} // namespace

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

int usable_cores() {
    const int cpus = affinity_cpus();
    const double quota = cgroup_quota();
    if (quota > 0 && quota < cpus) return quota < 1 ? 1 : int(quota);
    return cpus;
}

} // namespace ds4::cpu
