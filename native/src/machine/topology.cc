#include "machine/topology.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sched.h>
#include <set>
#include <sstream>

namespace ds4::ktb {
namespace {

std::string read_line(const std::string &path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

std::vector<int> allowed_cpus() {
    std::vector<int> cpus;
    // the mask of a machine with more than 1024 CPUs needs a larger set than cpu_set_t
    constexpr int kMaximumCpus = 8192;
    cpu_set_t *set = CPU_ALLOC(kMaximumCpus);
    const size_t bytes = CPU_ALLOC_SIZE(kMaximumCpus);
    if (set != nullptr && sched_getaffinity(0, bytes, set) == 0)
        for (int cpu = 0; cpu < kMaximumCpus; cpu++)
            if (CPU_ISSET_S(cpu, bytes, set)) cpus.push_back(cpu);
    if (set != nullptr) CPU_FREE(set);
    if (cpus.empty()) cpus.push_back(0);
    return cpus;
}

// Path of this process's group below the mount of the unified hierarchy, "" when it has none.
std::string unified_group() {
    std::ifstream file("/proc/self/cgroup");
    std::string line;
    while (std::getline(file, line))
        if (line.rfind("0::", 0) == 0) return line.substr(3);
    return "";
}

// Cores' worth of time that the control group allows, a very large number without a limit.
double cpu_quota() {
    double quota = 1e9;
    const auto take = [&](const std::string &path) {
        std::istringstream words(read_line(path));
        std::string limit;
        double period = 0;
        if (words >> limit >> period && limit != "max" && period > 0)
            quota = std::min(quota, std::atof(limit.c_str()) / period);
    };
    std::string group = unified_group();
    while (!group.empty() && group != "/") {
        take("/sys/fs/cgroup" + group + "/cpu.max");
        group = group.substr(0, group.rfind('/'));
    }
    take("/sys/fs/cgroup/cpu.max");
    const double limit = std::atof(read_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").c_str());
    const double period = std::atof(read_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us").c_str());
    if (limit > 0 && period > 0) quota = std::min(quota, limit / period);
    return quota;
}

// Reorders the cores of one node so that neighbours belong to different last-level caches: a
// cache's link to memory is limited, and few threads should not share one.
std::vector<Core> spread(const std::vector<Core> &cores) {
    std::map<int, std::vector<Core>> by_cache;
    for (const Core &core : cores) by_cache[core.cache].push_back(core);
    std::vector<Core> out;
    for (size_t round = 0; out.size() < cores.size(); round++)
        for (const auto &[cache, members] : by_cache)
            if (round < members.size()) out.push_back(members[round]);
    return out;
}

} // namespace

std::vector<int> parse_cpu_list(const std::string &text) {
    std::vector<int> out;
    const char *at = text.c_str();
    while (*at >= '0' && *at <= '9') {
        char *end = nullptr;
        const long first = std::strtol(at, &end, 10);
        long last = first;
        if (*end == '-') last = std::strtol(end + 1, &end, 10);
        if (last - first > 65536) break;
        for (long cpu = first; cpu <= last; cpu++) out.push_back(int(cpu));
        if (*end != ',') break;
        at = end + 1;
    }
    return out;
}

Topology read_topology() {
    Topology topology;
    std::map<int, int> node_of;
    std::vector<int> memory_nodes =
        parse_cpu_list(read_line("/sys/devices/system/node/has_memory"));
    topology.machine_nodes = std::max<int>(1, int(memory_nodes.size()));
    for (int node : parse_cpu_list(read_line("/sys/devices/system/node/online")))
        for (int cpu : parse_cpu_list(
                 read_line("/sys/devices/system/node/node" + std::to_string(node) + "/cpulist")))
            node_of[cpu] = node;

    std::map<int, std::vector<Core>> by_node;
    std::set<int> taken;
    for (int cpu : allowed_cpus()) {
        if (taken.count(cpu) != 0) continue;
        const std::string base = "/sys/devices/system/cpu/cpu" + std::to_string(cpu);
        for (int sibling : parse_cpu_list(read_line(base + "/topology/thread_siblings_list")))
            taken.insert(sibling);
        const std::string cache = read_line(base + "/cache/index3/id");
        const int node = node_of.count(cpu) != 0 ? node_of[cpu] : 0;
        by_node[node].push_back({cpu, node, cache.empty() ? 0 : std::atoi(cache.c_str())});
    }
    for (const auto &[node, cores] : by_node) {
        topology.nodes.push_back(node);
        for (const Core &core : spread(cores)) topology.cores.push_back(core);
    }
    const double quota = cpu_quota();
    topology.usable = int(topology.cores.size());
    if (quota < topology.usable) topology.usable = std::max(1, int(quota));
    return topology;
}

} // namespace ds4::ktb
