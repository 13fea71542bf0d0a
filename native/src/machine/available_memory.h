// Memory that this process can still take without swapping.
#pragma once
#include <cstdint>

namespace ds4::cpu {

// Free and reclaimable memory of the machine, or what the control groups of the process leave if
// that is less. 0 when the system does not say.
uint64_t available_memory();
int numa_nodes(); // of the machine, >= 1

} // namespace ds4::cpu
