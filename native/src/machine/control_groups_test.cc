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

TEST("a limit on a parent alone holds for the groups inside it, of version 2") {
    MachineTree tree;
    tree.put("/proc/self/cgroup", "0::/pod/box/job\n")
        .put("/sys/fs/cgroup/pod/box/job/memory.max", "max\n")
        .put("/sys/fs/cgroup/pod/box/job/memory.high", "max\n")
        .put("/sys/fs/cgroup/pod/box/job/memory.current", "100\n")
        .put("/sys/fs/cgroup/pod/box/memory.max", "max\n")
        .put("/sys/fs/cgroup/pod/memory.max", "5000\n")
        .put("/sys/fs/cgroup/pod/memory.current", "4000\n")
        .put("/sys/fs/cgroup/pod/memory.stat", "anon 1000\nactive_file 2000\ninactive_file 900\n");
    CHECK(control_group_memory(tree.files()) == 5000 - 1100);
}

TEST("memory.high limits as memory.max does, and the lower of them counts") {
    MachineTree tree;
    tree.put("/proc/self/cgroup", "0::/\n")
        .put("/sys/fs/cgroup/memory.max", "max\n")
        .put("/sys/fs/cgroup/memory.high", "3000\n")
        .put("/sys/fs/cgroup/memory.current", "1000\n");
    CHECK(control_group_memory(tree.files()) == 2000);
    tree.put("/sys/fs/cgroup/memory.max", "2500\n");
    CHECK(control_group_memory(tree.files()) == 1500);
}

TEST("of version 1 a parent limits its children only with use_hierarchy") {
    MachineTree tree;
    tree.put("/proc/self/cgroup", "9:memory:/pod/box\n")
        .put("/sys/fs/cgroup/memory/pod/box/memory.limit_in_bytes", "9223372036854771712\n")
        .put("/sys/fs/cgroup/memory/pod/memory.limit_in_bytes", "8192\n")
        .put("/sys/fs/cgroup/memory/pod/memory.usage_in_bytes", "1000\n")
        .put("/sys/fs/cgroup/memory/pod/memory.use_hierarchy", "1\n");
    CHECK(control_group_memory(tree.files()) == 7192);
    tree.put("/sys/fs/cgroup/memory/pod/memory.use_hierarchy", "0\n");
    CHECK(control_group_memory(tree.files()) > 8192);
}

TEST("of version 1 the limit of a parent that no mount shows stands in memory.stat") {
    MachineTree tree;
    tree.put("/proc/self/cgroup", "9:memory:/docker/abc\n") // a container without a namespace
        .put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
        .put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "500\n")
        .put("/sys/fs/cgroup/memory/memory.stat",
             "hierarchical_memory_limit 4096\ntotal_active_file 100\n");
    CHECK(control_group_memory(tree.files()) == 4096 - 400);
}

TEST("a page cache that fills the limit is free, whichever list it is on and however it is "
     "counted") {
    for (const char *stat : {"inactive_file 950\n", "active_file 950\n",
                             "active_file 450\ninactive_file 500\nshmem 30\n"}) {
        MachineTree tree;
        tree.put("/proc/self/cgroup", "4:memory:/box\n0::/\n")
            .put("/sys/fs/cgroup/memory.max", "1000\n")
            .put("/sys/fs/cgroup/memory.current", "1000\n")
            .put("/sys/fs/cgroup/memory.stat", stat);
        CHECK(control_group_memory(tree.files()) == 950);
        tree.put("/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "980\n")
            .put("/sys/fs/cgroup/memory/box/memory.usage_in_bytes", "990\n")
            .put("/sys/fs/cgroup/memory/box/memory.stat", stat);
        CHECK(control_group_memory(tree.files()) == 940);
    }
}

TEST("mounts are found where mountinfo says: hybrid, joined, renamed and with blanks") {
    MachineTree hybrid;
    hybrid.put("/proc/self/cgroup", "2:cpu,cpuacct:/a\n1:memory:/a\n0::/box\n")
        .put("/proc/self/mountinfo",
             "30 1 0:1 / / rw - ext4 /dev/sda rw\n"
             "31 30 0:2 / /groups/all\\040together rw shared:9 master:2 - cgroup2 none rw\n"
             "32 30 0:3 / /groups/mem/ rw - cgroup none rw,memory\n"
             "33 30 0:4 / /groups/c rw - cgroup none rw,cpuacct,cpu\n"
             "nonsense\n")
        .put("/groups/all together/box/memory.max", "7000\n")
        .put("/groups/mem/a/memory.limit_in_bytes", "9000\n")
        .put("/groups/c/a/cpu.cfs_quota_us", "50000\n")
        .put("/groups/c/a/cpu.cfs_period_us", "100000\n");
    CHECK(control_group_memory(hybrid.files()) == 7000);
    CHECK(cpu_quota(hybrid.files()) == 0.5);
    hybrid.put("/groups/mem/memory.limit_in_bytes", "6000\n");
    CHECK(control_group_memory(hybrid.files()) == 6000);
}

TEST("the customary places serve where mountinfo is hidden: unified beside version 1") {
    MachineTree tree;
    tree.put("/proc/self/cgroup", "2:cpu,cpuacct:/a\n0::/box\n")
        .put("/sys/fs/cgroup/unified/box/memory.max", "7000\n")
        .put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "200000\n")
        .put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
    CHECK(control_group_memory(tree.files()) == 7000);
    CHECK(cpu_quota(tree.files()) == 2);
}

TEST("a mount that shows a group at its top is read from there") {
    MachineTree tree;
    tree.put("/proc/self/cgroup", "0::/docker/abc/inner\n")
        .put("/proc/self/mountinfo", "31 1 0:2 /docker/abc /sys/fs/cgroup rw - cgroup2 none rw\n")
        .put("/sys/fs/cgroup/memory.max", "9000\n")
        .put("/sys/fs/cgroup/inner/memory.max", "8000\n")
        .put("/sys/fs/cgroup/docker/abc/memory.max", "1\n"); // a child of the same name
    CHECK(control_group_memory(tree.files()) == 8000);
}

TEST("a path that leads out of the tree is read at the top of the mount alone") {
    MachineTree tree;
    tree.put("/proc/self/cgroup", "0::/../../other\n")
        .put("/proc/self/mountinfo", "31 1 0:2 /.. /sys/fs/cgroup rw - cgroup2 none rw\n")
        .put("/sys/fs/cgroup/memory.max", "9000\n")
        .put("/sys/other/memory.max", "5\n");
    CHECK(control_group_memory(tree.files()) == 9000);
}

TEST("a limit whose use cannot be read counts whole") {
    MachineTree tree;
    tree.put("/proc/self/cgroup", "0::/\n").put("/sys/fs/cgroup/memory.max", "9000\n");
    CHECK(control_group_memory(tree.files()) == 9000);
}
