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
    // Feeds bytes until the first string is complete and returns its index, else kNone. Of two that
    // complete with the same byte the one that began earlier wins, then the one given first.
    // Nothing may be fed after a hit.
    uint32_t feed(std::span<const uint8_t> bytes);
    // Forgets what was fed: the next byte starts afresh.
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
