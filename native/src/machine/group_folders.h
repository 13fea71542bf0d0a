// Where the control groups of this process lie in the file system, of version 1 and 2.
#pragma once
#include <string>
#include <vector>

#include "machine/system_files.h"

namespace ds4::machine {

// The groups of one mount, from the process's own up to the top of the mount.
struct GroupPath {
    bool is_unified; // version 2: one tree for every controller
    std::vector<std::string> folders;
};

// A path for each mount that may hold the process's group of `controller`. The mounts are those
// that /proc/self/mountinfo lists and the customary places, because a sandbox may hide either. Some
// folders may not exist.
std::vector<GroupPath> group_paths(const SystemFiles &files, const std::string &controller);

} // namespace ds4::machine
