#include "machine/control_groups.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "machine/group_folders.h"

namespace ds4::machine {
namespace {

double quota_of(const SystemFiles &files, bool is_unified, const std::string &folder) {
    double quota = 0, period = 0;
    if (is_unified) {
        const std::string text = files.first_line(folder + "/cpu.max"); // "200000 100000"
        if (std::sscanf(text.c_str(), "%lf %lf", &quota, &period) != 2) return 0;
    } else { // without a limit the quota is -1
        const std::string text = files.first_line(folder + "/cpu.cfs_quota_us");
        if (std::sscanf(text.c_str(), "%lf", &quota) != 1) return 0;
        period = double(files.number(folder + "/cpu.cfs_period_us").value_or(0));
    }
    return quota > 0 && period > 0 ? quota / period : 0;
}

uint64_t number_or_unlimited(const SystemFiles &files, const std::string &path) {
    return files.number(path).value_or(UINT64_MAX); // missing, unreadable, or the word "max"
}

// Bytes of a group's use that the kernel takes back before it kills: pages of files.
uint64_t reclaimable(const SystemFiles &files, const std::string &stat, bool is_unified) {
    uint64_t bytes = 0;
    for (const std::string key : {"inactive_file", "active_file"}) {
        // The bare key of version 1 counts the group alone, the other its children, too.
        auto pages = is_unified ? std::nullopt : files.field(stat, "total_" + key);
        if (!pages) pages = files.field(stat, key);
        bytes += pages.value_or(0);
    }
    return bytes;
}

uint64_t left_of(const SystemFiles &files, uint64_t limit, const std::string &usage,
                 const std::string &stat, bool is_unified) {
    if (limit == UINT64_MAX) return limit;
    const uint64_t used = files.number(usage).value_or(0);
    const uint64_t held = used - std::min(used, reclaimable(files, stat, is_unified));
    return limit - std::min(limit, held);
}

// Above memory.high the kernel slows a group down until it stands almost still, so it limits, too.
uint64_t unified_memory_left(const SystemFiles &files, const GroupPath &path) {
    uint64_t smallest = UINT64_MAX;
    for (const std::string &folder : path.folders) {
        const uint64_t limit = std::min(number_or_unlimited(files, folder + "/memory.max"),
                                        number_or_unlimited(files, folder + "/memory.high"));
        smallest = std::min(smallest, left_of(files, limit, folder + "/memory.current",
                                              folder + "/memory.stat", true));
    }
    return smallest;
}

// A group without memory.use_hierarchy does not limit the groups inside it. The limit of groups
// that no mount shows stands in the own group's statistics.
uint64_t legacy_memory_left(const SystemFiles &files, const GroupPath &path) {
    uint64_t smallest = UINT64_MAX;
    bool is_own = true;
    for (const std::string &folder : path.folders) {
        const std::string at = folder + "/memory.";
        const auto own_limit = files.number(at + "limit_in_bytes");
        if (!own_limit) continue; // the folder is not there
        if (!is_own && files.number(at + "use_hierarchy") == 0) break;
        uint64_t limit = *own_limit;
        if (is_own)
            limit = std::min(
                limit, files.field(at + "stat", "hierarchical_memory_limit").value_or(UINT64_MAX));
        is_own = false;
        smallest =
            std::min(smallest, left_of(files, limit, at + "usage_in_bytes", at + "stat", false));
    }
    return smallest;
}

} // namespace

double cpu_quota(const SystemFiles &files) {
    double smallest = 0;
    for (const GroupPath &path : group_paths(files, "cpu"))
        for (const std::string &folder : path.folders)
            if (const double quota = quota_of(files, path.is_unified, folder);
                quota > 0 && (smallest == 0 || quota < smallest))
                smallest = quota;
    return smallest;
}

uint64_t control_group_memory(const SystemFiles &files) {
    uint64_t smallest = UINT64_MAX;
    for (const GroupPath &path : group_paths(files, "memory"))
        smallest = std::min(smallest, path.is_unified ? unified_memory_left(files, path)
                                                      : legacy_memory_left(files, path));
    return smallest;
}

} // namespace ds4::machine
