// Memory of the machine, in bytes.
#pragma once
#include <cstdint>

#include "machine/system_files.h"

namespace ds4::machine {

uint64_t total_memory(const SystemFiles &files = SystemFiles()); // 0: the system does not say
// Bytes that this process can still take without swapping. They are the free and reclaimable
// memory, or less when its control groups leave less. UINT64_MAX: the system does not say, and
// allocation decides.
uint64_t available_memory(const SystemFiles &files = SystemFiles());

} // namespace ds4::machine
