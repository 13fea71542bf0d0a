#include "core/sampling/stop_strings.h"

namespace ds4 {

StopStrings::StopStrings(std::vector<std::string> strings) {
    for (std::string &text : strings) {
        Pattern pattern{std::move(text), {}, 0};
        pattern.fallback.assign(pattern.text.size(), 0);
        uint32_t length = 0;
        for (size_t i = 1; i < pattern.text.size(); i++) {
            while (length > 0 && pattern.text[i] != pattern.text[length])
                length = pattern.fallback[length - 1];
            if (pattern.text[i] == pattern.text[length]) length++;
            pattern.fallback[i] = length;
        }
        patterns_.push_back(std::move(pattern));
    }
}

uint32_t StopStrings::feed(std::span<const uint8_t> bytes) {
    for (const uint8_t byte : bytes) {
        uint32_t hit = kNone;
        for (uint32_t index = 0; index < patterns_.size(); index++) {
            Pattern &pattern = patterns_[index];
            const char c = char(byte);
            while (pattern.matched > 0 && pattern.text[pattern.matched] != c)
                pattern.matched = pattern.fallback[pattern.matched - 1];
            if (pattern.text[pattern.matched] == c) pattern.matched++;
            if (pattern.matched < pattern.text.size()) continue;
            // Restart the automaton, so that it stays valid for whatever the caller feeds next.
            pattern.matched = pattern.fallback[pattern.text.size() - 1];
            if (hit == kNone || pattern.text.size() > patterns_[hit].text.size()) hit = index;
        }
        if (hit != kNone) return hit;
    }
    return kNone;
}

void StopStrings::restart() {
    for (Pattern &pattern : patterns_) pattern.matched = 0;
}

} // namespace ds4
