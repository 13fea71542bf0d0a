#include "machine/control_groups.h"

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

namespace ds4::machine {
namespace {

const std::string kMount = "/sys/fs/cgroup";

struct Group {
    bool is_unified; // version 2: one tree for every controller
    std::string folder;
};

bool lists(const std::string &controllers, const std::string &name) {
    std::istringstream words(controllers);
    for (std::string word; std::getline(words, word, ',');)
        if (word == name) return true;
    return false;
}

// The groups of the process that limit `controller`, from its own up to the root of each tree. A
// line of /proc/self/cgroup is "number:controllers:path"; version 2 names no controllers.
std::vector<Group> groups_of(const SystemFiles &files, const std::string &controller) {
    std::vector<Group> groups;
    std::istringstream lines(files.text("/proc/self/cgroup"));
    for (std::string line; std::getline(lines, line);) {
        const size_t first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const bool is_unified = controllers.empty();
        if (!is_unified && !lists(controllers, controller)) continue;
        const std::string tree = is_unified ? kMount : kMount + "/" + controller;
        std::string path = line.substr(second + 1);
        while (!path.empty() && path != "/") {
            groups.push_back({is_unified, tree + path});
            path.resize(std::min(path.rfind('/'), path.size() - 1));
        }
        groups.push_back({is_unified, tree});
    }
    return groups;
}

double quota_of(const SystemFiles &files, const Group &group) {
    double quota = 0, period = 0;
    if (group.is_unified) {
        const std::string text = files.first_line(group.folder + "/cpu.max"); // "200000 100000"
        if (std::sscanf(text.c_str(), "%lf %lf", &quota, &period) != 2) return 0;
    } else { // without a limit the quota is -1
        const std::string text = files.first_line(group.folder + "/cpu.cfs_quota_us");
        if (std::sscanf(text.c_str(), "%lf", &quota) != 1) return 0;
        period = double(files.number(group.folder + "/cpu.cfs_period_us").value_or(0));
    }
    return quota > 0 && period > 0 ? quota / period : 0;
}

uint64_t memory_left(const SystemFiles &files, const Group &group) {
    const bool unified = group.is_unified;
    const std::string at = group.folder + "/memory.";
    const auto limit = files.number(at + (unified ? "max" : "limit_in_bytes"));
    if (!limit) return UINT64_MAX; // missing, or the word "max"
    const uint64_t used = files.number(at + (unified ? "current" : "usage_in_bytes")).value_or(0);
    uint64_t file_pages = 0;
    for (const char *key : {"inactive_file", "active_file"})
        file_pages +=
            files.field(at + "stat", unified ? key : std::string("total_") + key).value_or(0);
    const uint64_t held = used - std::min(used, file_pages);
    return *limit - std::min(*limit, held);
}

} // namespace

double cpu_quota(const SystemFiles &files) {
    double smallest = 0;
    for (const Group &group : groups_of(files, "cpu"))
        if (const double quota = quota_of(files, group);
            quota > 0 && (smallest == 0 || quota < smallest))
            smallest = quota;
    return smallest;
}

uint64_t control_group_memory(const SystemFiles &files) {
    uint64_t smallest = UINT64_MAX;
    for (const Group &group : groups_of(files, "memory"))
        smallest = std::min(smallest, memory_left(files, group));
    return smallest;
}

} // namespace ds4::machine
