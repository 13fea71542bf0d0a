// JSON text for descriptions.
#pragma once
#include <string>

namespace ds4 {

// Quotes text as a JSON string; control characters are left out.
inline std::string json_quoted(const std::string &text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) >= 32) out += c;
    }
    return out + "\"";
}

} // namespace ds4
