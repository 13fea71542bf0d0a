#include "machine/system_files.h"

#include <fstream>
#include <iterator>
#include <sstream>

namespace ds4::machine {

std::string SystemFiles::text(const std::string &path) const {
    std::ifstream file(root_ + path, std::ios::binary);
    if (!file) return "";
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string SystemFiles::first_line(const std::string &path) const {
    std::ifstream file(root_ + path);
    std::string line;
    std::getline(file, line);
    return line;
}

std::optional<uint64_t> SystemFiles::number(const std::string &path) const {
    std::ifstream file(root_ + path);
    uint64_t value = 0;
    if (file >> value) return value;
    return std::nullopt;
}

std::optional<uint64_t> SystemFiles::field(const std::string &path, const std::string &key) const {
    std::ifstream file(root_ + path);
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string word;
        uint64_t value = 0;
        if (words >> word && word == key && words >> value) return value;
    }
    return std::nullopt;
}

} // namespace ds4::machine
