// Cores that this process may use: its affinity mask, capped by the cgroup's CPU quota.
#pragma once

namespace ds4::cpu {

int affinity_cpus(); // >= 1
double
cgroup_quota(); // CPUs; the smallest from this process's cgroup up to the root, 0 if none is set
int usable_cores(); // >= 1

} // namespace ds4::cpu
