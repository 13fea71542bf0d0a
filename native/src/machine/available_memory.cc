#include "machine/available_memory.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

namespace ds4::cpu {
namespace {

// The number after `key` in a file of "key number" lines; 0 if there is none.
uint64_t field_in(const std::string &path, const std::string &key) {
    std::ifstream file(path);
    std::string word;
    while (file >> word) {
        uint64_t value = 0;
        if (word == key && file >> value) return value;
        file.clear();
    }
    return 0;
}

// The one number of a file; UINT64_MAX if it is missing or "max".
uint64_t number_in(const std::string &path) {
    std::ifstream file(path);
    uint64_t value = 0;
    return file >> value ? value : UINT64_MAX;
}

// What a control group leaves. Its page cache that is not in use counts as free: the kernel gives
// it up on demand.
uint64_t left_in_group(const std::string &folder) {
    const uint64_t limit = number_in(folder + "/memory.max");
    if (limit == UINT64_MAX) return UINT64_MAX;
    const uint64_t current = number_in(folder + "/memory.current"),
                   cache = field_in(folder + "/memory.stat", "inactive_file");
    const uint64_t held = current == UINT64_MAX ? 0 : current - std::min(current, cache);
    return limit - std::min(limit, held);
}

} // namespace

uint64_t available_memory() {
    uint64_t available = field_in("/proc/meminfo", "MemAvailable:") * 1024;
    std::ifstream groups("/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {
        if (line.rfind("0::", 0) != 0) continue; // version 2: one tree for every resource
        for (std::string group = line.substr(3);; group.resize(group.rfind('/'))) {
            available = std::min(available, left_in_group("/sys/fs/cgroup" +
                                                          (group == "/" ? std::string() : group)));
            if (group.empty() || group.rfind('/') == std::string::npos) break;
        }
    }
    return available;
}

int numa_nodes() {
    std::ifstream file("/sys/devices/system/node/has_memory"); // "0-3,8"
    int nodes = 0;
    for (std::string range; std::getline(file, range, ',');) {
        int first = 0, last = 0;
        char dash = 0;
        std::istringstream text(range);
        if (!(text >> first)) continue;
        nodes += text >> dash >> last && dash == '-' && last >= first ? last - first + 1 : 1;
    }
    return std::max(nodes, 1);
}

} // namespace ds4::cpu
