// Physical cores that the process may use, by NUMA node and last-level cache.
#pragma once
#include <string>
#include <vector>

#include "machine/system_files.h"

namespace ds4::machine {

struct Core {
    int cpu;   // first allowed hardware thread of the core
    int node;  // NUMA node
    int cache; // id of its last-level cache
};

struct Topology {
    std::vector<Core> cores; // by node; neighbours within a node have different last-level caches
    std::vector<int> nodes;  // nodes that have an allowed core, ascending
    int memory_nodes = 1;    // nodes with memory on the whole machine
    int usable = 1;          // cores that can run at once: all, or fewer under a CPU quota
};

// Reads sysfs, the affinity mask of the calling thread and the control groups. It never fails:
// without sysfs there is one node, and every allowed CPU counts as a core.
Topology read_topology();
Topology read_topology(const std::vector<int> &allowed_cpus, const SystemFiles &files);

// NUMA nodes with memory on the whole machine, >= 1.
int memory_nodes(const SystemFiles &files = SystemFiles());

// "0-3,8" -> {0,1,2,3,8}; stops at the first character that does not fit.
std::vector<int> parse_cpu_list(const std::string &text);

} // namespace ds4::machine
