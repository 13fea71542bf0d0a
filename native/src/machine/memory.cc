#include "machine/memory.h"

#include <algorithm>

#include "machine/control_groups.h"

namespace ds4::machine {
namespace {

constexpr uint64_t kKibibyte = 1024;

} // namespace

uint64_t total_memory(const SystemFiles &files) {
    return files.field("/proc/meminfo", "MemTotal:").value_or(0) * kKibibyte;
}

uint64_t available_memory(const SystemFiles &files) {
    const auto available = files.field("/proc/meminfo", "MemAvailable:");
    const uint64_t of_machine = available ? *available * kKibibyte : UINT64_MAX;
    return std::min(of_machine, control_group_memory(files));
}

} // namespace ds4::machine
