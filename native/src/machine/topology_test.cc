#include "machine/topology.h"

#include <algorithm>

#include "base/allowed_cpus.h"
#include "base/test.h"
#include "machine/machine_tree_for_tests.h"
#include "machine/usable_cores.h"

using namespace ds4::machine;

namespace {

void put_cpu(MachineTree &tree, int cpu, const std::string &siblings, int cache) {
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu);
    tree.put(folder + "/topology/thread_siblings_list", siblings + "\n")
        .put(folder + "/cache/index3/id", std::to_string(cache) + "\n");
}

std::vector<int> cpus_of(const Topology &topology) {
    std::vector<int> cpus;
    for (const Core &core : topology.cores) cpus.push_back(core.cpu);
    return cpus;
}

// Two nodes of four cores with two threads each; the cores of node 0 share two caches.
void put_two_nodes(MachineTree &tree) {
    tree.put("/sys/devices/system/node/online", "0-1\n")
        .put("/sys/devices/system/node/has_memory", "0-1\n")
        .put("/sys/devices/system/node/node0/cpulist", "0-3,8-11\n")
        .put("/sys/devices/system/node/node1/cpulist", "4-7,12-15\n");
    for (int cpu = 0; cpu < 16; cpu++) {
        const int core = cpu % 8;
        put_cpu(tree, cpu, std::to_string(core) + "," + std::to_string(core + 8),
                core < 4 ? core / 2 : 9);
    }
}

} // namespace

TEST("lists of CPUs are read up to what does not fit") {
    CHECK((parse_cpu_list("0-2,5,8-9\n") == std::vector<int>{0, 1, 2, 5, 8, 9}));
    CHECK(parse_cpu_list("").empty() && parse_cpu_list("\n").empty());
    CHECK((parse_cpu_list("3,x") == std::vector<int>{3}));
    CHECK((parse_cpu_list("1,0-99999999") == std::vector<int>{1}));
}

TEST("cores are counted once, by node, and neighbours have different caches") {
    MachineTree tree;
    put_two_nodes(tree);
    std::vector<int> allowed(16);
    for (int cpu = 0; cpu < 16; cpu++) allowed[size_t(cpu)] = cpu;
    const Topology topology = read_topology(allowed, tree.files());
    CHECK((cpus_of(topology) == std::vector<int>{0, 2, 1, 3, 4, 5, 6, 7}));
    CHECK((topology.nodes == std::vector<int>{0, 1}));
    CHECK(topology.memory_nodes == 2 && topology.usable == 8);
    CHECK(topology.cores[0].node == 0 && topology.cores[4].node == 1);
}

TEST("an affinity mask leaves a core its first allowed thread, and a node without cores is none") {
    MachineTree tree;
    put_two_nodes(tree);
    const Topology topology = read_topology({5, 12, 13}, tree.files());
    CHECK((cpus_of(topology) == std::vector<int>{5, 12}));
    CHECK((topology.nodes == std::vector<int>{1}));
    CHECK(topology.memory_nodes == 2);
}

TEST("a CPU quota limits how many cores run at once, but at least one") {
    MachineTree tree;
    put_two_nodes(tree);
    tree.put("/proc/self/cgroup", "0::/\n").put("/sys/fs/cgroup/cpu.max", "150000 100000\n");
    CHECK(read_topology({0, 1, 2, 3}, tree.files()).usable == 1);
    tree.put("/sys/fs/cgroup/cpu.max", "20000 100000\n");
    CHECK(read_topology({0, 1, 2, 3}, tree.files()).usable == 1);
    tree.put("/sys/fs/cgroup/cpu.max", "350000 100000\n");
    CHECK(read_topology({0, 1, 2, 3}, tree.files()).usable == 3);
}

TEST("without sysfs there is one node, and every allowed CPU is a core") {
    MachineTree tree;
    const Topology topology = read_topology({0, 1}, tree.files());
    CHECK((cpus_of(topology) == std::vector<int>{0, 1}));
    CHECK((topology.nodes == std::vector<int>{0}));
    CHECK(topology.memory_nodes == 1 && topology.usable == 2);
}

TEST("a node of memory alone counts among the nodes with memory") {
    MachineTree tree;
    tree.put("/sys/devices/system/node/has_memory", "0-1,4\n");
    CHECK(memory_nodes(tree.files()) == 3);
}

TEST("this machine has at least one core, node and usable CPU") {
    const Topology topology = read_topology();
    CHECK(!topology.cores.empty() && !topology.nodes.empty());
    CHECK(topology.usable >= 1 && topology.usable <= int(topology.cores.size()));
    CHECK(std::is_sorted(topology.nodes.begin(), topology.nodes.end()));
    CHECK(topology.memory_nodes >= 1 && usable_cores() >= 1);
    CHECK(usable_cores() <= int(ds4::allowed_cpus().size()));
}
