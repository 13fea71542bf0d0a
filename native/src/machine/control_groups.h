// Limits of the control groups (cgroups) that this process belongs to, of version 1 and 2.
#pragma once
#include <cstdint>

#include "machine/system_files.h"

namespace ds4::machine {

// CPUs' worth of time; the smallest limit from the process's group up to the root. 0: no limit.
double cpu_quota(const SystemFiles &files = SystemFiles());
// Bytes that the groups leave to the process; the smallest from its group up to the root.
// UINT64_MAX: no limit. File pages count as free, because the kernel gives them up on demand.
uint64_t control_group_memory(const SystemFiles &files = SystemFiles());

} // namespace ds4::machine
