#include "machine/topology.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "base/allowed_cpus.h"
#include "machine/control_groups.h"

namespace ds4::machine {
namespace {

const std::string kNodes = "/sys/devices/system/node";
const std::string kCpus = "/sys/devices/system/cpu";
constexpr long kLongestRange = 65536; // more CPUs than any machine has: the list is damaged

// Neighbours of the result belong to different last-level caches. The link of a cache to memory is
// narrow, so that few threads should share one.
std::vector<Core> spread(const std::vector<Core> &cores) {
    std::map<int, std::vector<Core>> by_cache;
    for (const Core &core : cores) by_cache[core.cache].push_back(core);
    std::vector<Core> out;
    for (size_t round = 0; out.size() < cores.size(); round++)
        for (const auto &[cache, members] : by_cache)
            if (round < members.size()) out.push_back(members[round]);
    return out;
}

std::map<int, int> nodes_by_cpu(const SystemFiles &files) {
    std::map<int, int> node_of;
    for (int node : parse_cpu_list(files.first_line(kNodes + "/online"))) {
        const std::string list = kNodes + "/node" + std::to_string(node) + "/cpulist";
        for (int cpu : parse_cpu_list(files.first_line(list))) node_of[cpu] = node;
    }
    return node_of;
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
        if (last - first > kLongestRange) break;
        for (long cpu = first; cpu <= last; cpu++) out.push_back(int(cpu));
        if (*end != ',') break;
        at = end + 1;
    }
    return out;
}

int memory_nodes(const SystemFiles &files) {
    return std::max(1, int(parse_cpu_list(files.first_line(kNodes + "/has_memory")).size()));
}

Topology read_topology(const std::vector<int> &allowed_cpus, const SystemFiles &files) {
    const std::map<int, int> node_of = nodes_by_cpu(files);
    std::map<int, std::vector<Core>> by_node;
    std::set<int> taken; // hardware threads of the cores so far
    for (int cpu : allowed_cpus) {
        if (taken.count(cpu) != 0) continue;
        const std::string folder = kCpus + "/cpu" + std::to_string(cpu);
        for (int sibling :
             parse_cpu_list(files.first_line(folder + "/topology/thread_siblings_list")))
            taken.insert(sibling);
        const auto found = node_of.find(cpu);
        const int node = found == node_of.end() ? 0 : found->second;
        by_node[node].push_back(
            {cpu, node, int(files.number(folder + "/cache/index3/id").value_or(0))});
    }
    Topology topology;
    topology.memory_nodes = memory_nodes(files);
    for (const auto &[node, cores] : by_node) {
        topology.nodes.push_back(node);
        for (const Core &core : spread(cores)) topology.cores.push_back(core);
    }
    const double quota = cpu_quota(files);
    topology.usable = int(topology.cores.size());
    if (quota > 0 && quota < topology.usable) topology.usable = std::max(1, int(quota));
    return topology;
}

Topology read_topology() { return read_topology(allowed_cpus(), SystemFiles()); }

} // namespace ds4::machine
