// The bytes of every token, for stop strings and tool zones.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace ds4 {

class Vocabulary {
  public:
    // offsets: [vocab + 1], ascending, the last one bytes.size(). Throws DS4_ERR_ARGUMENT.
    Vocabulary(std::span<const uint8_t> bytes, std::span<const uint32_t> offsets);
    uint32_t size() const { return uint32_t(offsets_.size() - 1); }
    std::span<const uint8_t> bytes(int32_t token) const; // 0 <= token < size()

  private:
    std::vector<uint8_t> bytes_;
    std::vector<uint32_t> offsets_;
};

} // namespace ds4
