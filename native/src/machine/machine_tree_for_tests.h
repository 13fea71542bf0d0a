// A made-up /proc and /sys in a folder of its own, removed afterwards.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "machine/system_files.h"

namespace ds4::machine {

class MachineTree {
  public:
    MachineTree() {
        std::string name = (std::filesystem::temp_directory_path() / "ds4-machine-XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
        root_ = name;
    }
    ~MachineTree() { std::filesystem::remove_all(root_); }
    MachineTree(const MachineTree &) = delete;
    MachineTree &put(const std::string &path, const std::string &text) {
        std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
        std::ofstream(root_ + path) << text;
        return *this;
    }
    SystemFiles files() const { return SystemFiles(root_); }

  private:
    std::string root_;
};

} // namespace ds4::machine
