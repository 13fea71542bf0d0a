#include "machine/memory.h"

#include "base/test.h"
#include "machine/machine_tree_for_tests.h"

using namespace ds4::machine;

TEST("available memory is what the kernel says, or less when the control group leaves less") {
    MachineTree tree;
    CHECK(total_memory(tree.files()) == 0);
    CHECK(available_memory(tree.files()) == UINT64_MAX);
    tree.put("/proc/meminfo", "MemTotal:   64 kB\nMemFree:  8 kB\nMemAvailable:   16 kB\n");
    CHECK(total_memory(tree.files()) == 64 * 1024);
    CHECK(available_memory(tree.files()) == 16 * 1024);
    tree.put("/proc/self/cgroup", "0::/\n").put("/sys/fs/cgroup/memory.max", "5000\n");
    CHECK(available_memory(tree.files()) == 5000);
}

TEST("the control group limits also where the system does not tell its memory") {
    MachineTree tree;
    tree.put("/proc/self/cgroup", "0::/\n").put("/sys/fs/cgroup/memory.max", "5000\n");
    CHECK(available_memory(tree.files()) == 5000);
}

TEST("this machine says how much memory it has") {
    CHECK(available_memory() > 0);
    CHECK(total_memory() > 0);
}
