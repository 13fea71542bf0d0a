// FNV-1a with a shift, eight bytes a round and the rest one by one. It finds damage, not forgery.
#pragma once
#include <cstdint>
#include <cstring>

namespace ds4 {

class Checksum {
  public:
    explicit Checksum(uint64_t seed = 0) : value_(1469598103934665603ull + seed) {}

    void add(const void *bytes, uint64_t count) {
        const auto *from = static_cast<const uint8_t *>(bytes);
        uint64_t i = 0;
        for (; i + 8 <= count; i += 8) {
            uint64_t word;
            std::memcpy(&word, from + i, 8);
            value_ = (value_ ^ word) * 1099511628211ull;
            value_ ^= value_ >> 29;
        }
        for (; i < count; i++) value_ = (value_ ^ from[i]) * 1099511628211ull;
    }
    uint64_t value() const { return value_; }

  private:
    uint64_t value_;
};

} // namespace ds4
