// Finds stop strings in a stream of bytes that arrives token by token. A match may span any number
// of tokens.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ds4 {

class StopStrings {
  public:
    static constexpr uint32_t kNone = 0xffffffffu;

    StopStrings() = default;
    explicit StopStrings(std::vector<std::string> strings); // none empty
    bool empty() const { return patterns_.empty(); }
    // Feeds bytes until a string is complete and returns its index, else kNone. If two complete
    // with the same byte, the one that began earlier wins, then the one given first. Do not feed
    // after a hit.
    uint32_t feed(std::span<const uint8_t> bytes);
    // Forgets all bytes; the next byte starts anew.
    void restart();

  private:
    struct Pattern {
        std::string text;
        std::vector<uint32_t>
            fallback; // [text size] longest proper prefix that is also a suffix, per length - 1
        uint32_t matched = 0;
    };
    std::vector<Pattern> patterns_;
};

} // namespace ds4
