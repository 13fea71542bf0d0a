// Reads the files under /proc and /sys. Tests give another root, under which they lay out a
// machine.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace ds4::machine {

class SystemFiles {
  public:
    // root: prefix of every path, empty for this machine.
    explicit SystemFiles(std::string root = "") : root_(std::move(root)) {}
    // All bytes of a file; empty when it cannot be read.
    std::string text(const std::string &path) const;
    // Without the line break.
    std::string first_line(const std::string &path) const;
    // The number that a file begins with; none when it is missing or begins with a word.
    std::optional<uint64_t> number(const std::string &path) const;
    // The number after `key` in lines of "key number"; none when no line has the key.
    std::optional<uint64_t> field(const std::string &path, const std::string &key) const;

  private:
    std::string root_;
};

} // namespace ds4::machine
