#include "machine/group_folders.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace ds4::machine {
namespace {

const std::string kCustomary = "/sys/fs/cgroup";

struct Mount {
    bool is_unified;
    std::string root;  // the group that the mount shows at its top
    std::string place; // without a slash at the end
};

struct Membership {
    bool is_unified;
    std::string controllers; // separated by commas
    std::string path;        // from the top of the tree, as this process may see it
};

bool lists(const std::string &words, const std::string &name) {
    std::istringstream parts(words);
    for (std::string word; std::getline(parts, word, ',');)
        if (word == name) return true;
    return false;
}

// mountinfo writes blanks, line breaks and backslashes as three octal digits.
std::string unescaped(const std::string &text) {
    std::string plain;
    for (size_t i = 0; i < text.size(); i++) {
        const bool escaped = text[i] == '\\' && i + 3 < text.size();
        plain += escaped ? char(std::strtol(text.substr(i + 1, 3).c_str(), nullptr, 8)) : text[i];
        if (escaped) i += 3;
    }
    return plain;
}

std::string without_end_slash(std::string path) {
    while (!path.empty() && path.back() == '/') path.pop_back();
    return path;
}

// A line is "id parent device root place options tags... - type source super-options".
std::vector<Mount> listed_mounts(const SystemFiles &files, const std::string &controller) {
    std::vector<Mount> mounts;
    std::istringstream lines(files.text("/proc/self/mountinfo"));
    for (std::string line; std::getline(lines, line);) {
        const size_t dash = line.find(" - ");
        if (dash == std::string::npos) continue;
        std::istringstream before(line), after(line.substr(dash + 3));
        std::string id, parent, device, root, place, type, source, options;
        before >> id >> parent >> device >> root >> place;
        after >> type >> source >> options;
        const bool is_unified = type == "cgroup2";
        if (is_unified || (type == "cgroup" && lists(options, controller)))
            mounts.push_back({is_unified, without_end_slash(unescaped(root)),
                              without_end_slash(unescaped(place))});
    }
    return mounts;
}

// A line of /proc/self/cgroup is "number:controllers:path"; version 2 names no controllers.
std::vector<Membership> memberships(const SystemFiles &files, const std::string &controller) {
    std::vector<Membership> found;
    std::istringstream lines(files.text("/proc/self/cgroup"));
    for (std::string line; std::getline(lines, line);) {
        const size_t first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        if (!controllers.empty() && !lists(controllers, controller)) continue;
        found.push_back(
            {controllers.empty(), controllers, without_end_slash(line.substr(second + 1))});
    }
    return found;
}

// The group's path below the top of a mount. A group outside of what the mount shows has none. The
// top is then a group above it, or its own, which a container sees under another name.
std::string below(const std::string &root, const std::string &path) {
    if (path.find("/..") != std::string::npos || root.find("/..") != std::string::npos) return "";
    if (root.empty()) return path;
    const bool inside = path.compare(0, root.size(), root) == 0 &&
                        (path.size() == root.size() || path[root.size()] == '/');
    return inside ? path.substr(root.size()) : "";
}

GroupPath path_in(const Mount &mount, const std::string &path) {
    GroupPath groups{mount.is_unified, {}};
    for (std::string rest = below(mount.root, path); rest.starts_with('/');
         rest.resize(rest.rfind('/')))
        groups.folders.push_back(mount.place + rest);
    groups.folders.push_back(mount.place);
    return groups;
}

// The mounts of a membership's tree: the listed ones, and the customary places among the others.
std::vector<Mount> mounts_of(const Membership &member, const std::vector<Mount> &listed,
                             const std::string &controller) {
    std::vector<Mount> mounts;
    for (const Mount &mount : listed)
        if (mount.is_unified == member.is_unified) mounts.push_back(mount);
    std::vector<std::string> places = {kCustomary, kCustomary + "/unified"};
    if (!member.is_unified)
        places = {kCustomary + "/" + controller, kCustomary + "/" + member.controllers};
    for (const std::string &place : places)
        if (std::none_of(mounts.begin(), mounts.end(),
                         [&](const Mount &mount) { return mount.place == place; }))
            mounts.push_back({member.is_unified, "", place});
    return mounts;
}

} // namespace

std::vector<GroupPath> group_paths(const SystemFiles &files, const std::string &controller) {
    const std::vector<Mount> listed = listed_mounts(files, controller);
    std::vector<GroupPath> paths;
    for (const Membership &member : memberships(files, controller))
        for (const Mount &mount : mounts_of(member, listed, controller))
            paths.push_back(path_in(mount, member.path));
    return paths;
}

} // namespace ds4::machine
