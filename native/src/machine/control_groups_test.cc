#include "machine/control_groups.h"

#include "base/test.h"
#include "machine/machine_tree_for_tests.h"

using namespace ds4::machine;

TEST("a process without control groups has no limits") {
    MachineTree tree;
    CHECK(cpu_quota(tree.files()) == 0);
    CHECK(control_group_memory(tree.files()) == UINT64_MAX);
    tree.put("/proc/self/cgroup", "0::/\n").put("/sys/fs/cgroup/memory.max", "max\n");
    CHECK(cpu_quota(tree.files()) == 0);
    CHECK(control_group_memory(tree.files()) == UINT64_MAX);
}

TEST("of version 2 the tightest CPU quota between a group and the root counts") {
    MachineTree tree;
    tree.put("/proc/self/cgroup", "0::/pod/box\n")
        .put("/sys/fs/cgroup/pod/box/cpu.max", "max 100000\n")
        .put("/sys/fs/cgroup/pod/cpu.max", "250000 100000\n")
        .put("/sys/fs/cgroup/cpu.max", "800000 100000\n");
    CHECK(cpu_quota(tree.files()) == 2.5);
    tree.put("/sys/fs/cgroup/pod/box/cpu.max", "50000 100000\n");
    CHECK(cpu_quota(tree.files()) == 0.5);
}

TEST("a container that sees its own group as the root is limited there") {
    MachineTree tree;
    tree.put("/proc/self/cgroup", "0::/\n").put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
    CHECK(cpu_quota(tree.files()) == 3);
}

TEST("of version 1 the CPU controller's tree counts, and -1 is no limit") {
    MachineTree tree;
    tree.put("/proc/self/cgroup", "5:cpuset:/other\n4:cpu,cpuacct:/docker/abc\n0::/\n")
        .put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
        .put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    CHECK(cpu_quota(tree.files()) == 0);
    tree.put("/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us", "150000\n")
        .put("/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us", "100000\n");
    CHECK(cpu_quota(tree.files()) == 1.5);
}

TEST("file pages of a group count as free memory, and use above the limit leaves nothing") {
    MachineTree tree;
    tree.put("/proc/self/cgroup", "0::/job\n")
        .put("/sys/fs/cgroup/job/memory.max", "1000\n")
        .put("/sys/fs/cgroup/job/memory.current", "900\n")
        .put("/sys/fs/cgroup/job/memory.stat", "anon 100\ninactive_file 500\nactive_file 200\n");
    CHECK(control_group_memory(tree.files()) == 800);
    tree.put("/sys/fs/cgroup/memory.max", "100\n").put("/sys/fs/cgroup/memory.current", "300\n");
    CHECK(control_group_memory(tree.files()) == 0);
}

TEST("of version 1 the memory controller's tree limits memory") {
    MachineTree tree;
    tree.put("/proc/self/cgroup", "9:memory:/box\n")
        .put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
        .put("/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "4096\n")
        .put("/sys/fs/cgroup/memory/box/memory.usage_in_bytes", "3000\n")
        .put("/sys/fs/cgroup/memory/box/memory.stat",
             "inactive_file 1\ntotal_inactive_file 1000\ntotal_active_file 500\n");
    CHECK(control_group_memory(tree.files()) == 4096 - 1500);
}

TEST("damaged files of control groups set no limit") {
    MachineTree tree;
    tree.put("/proc/self/cgroup", "\nnonsense\n0:\n0::relative\n")
        .put("/sys/fs/cgroup/cpu.max", "100000\n")
        .put("/sys/fs/cgroup/memory.max", "\n");
    CHECK(cpu_quota(tree.files()) == 0);
    CHECK(control_group_memory(tree.files()) == UINT64_MAX);
}
