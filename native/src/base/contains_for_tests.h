// Whether a message holds a text. Test code.
#pragma once
#include <string>

namespace ds4::test {

inline bool contains(const std::string &text, const char *part) {
    return text.find(part) != std::string::npos;
}

} // namespace ds4::test
