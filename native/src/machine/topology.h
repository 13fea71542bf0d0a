// What of this machine the process may use: physical cores by NUMA node, and the CPU quota of its
// control group.
#pragma once
#include <string>
#include <vector>

namespace ds4::ktb {

struct Core {
    int cpu;   // first allowed hardware thread of the core
    int node;  // NUMA node
    int cache; // last-level cache it belongs to
};

struct Topology {
    std::vector<Core> cores; // allowed physical cores; within a node, neighbours are of different
                             // last-level caches
    std::vector<int> nodes;  // nodes that have an allowed core, ascending
    int machine_nodes = 1;   // nodes with memory on the whole machine
    int usable = 1; // workers that can really run at once: cores, or less under a CPU quota
};

// Reads sysfs, the affinity mask of the calling thread and the control group. Never fails: what is
// missing counts as one node and one core per allowed CPU.
Topology read_topology();

// "0-3,8" -> {0,1,2,3,8}; stops at the first character that does not fit.
std::vector<int> parse_cpu_list(const std::string &text);

} // namespace ds4::ktb
