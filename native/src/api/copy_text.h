// Text for a caller's buffer.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

namespace ds4::api {

// Copies at most `capacity` bytes with a NUL. Returns the bytes needed, the NUL included. out may
// be null, which copies nothing.
inline uint64_t copy_text(const std::string &text, char *out, uint64_t capacity) {
    if (out != nullptr && capacity > 0) {
        const uint64_t count = std::min<uint64_t>(text.size(), capacity - 1);
        std::memcpy(out, text.data(), count);
        out[count] = '\0';
    }
    return text.size() + 1;
}

} // namespace ds4::api
