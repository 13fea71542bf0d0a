#include "core/sampling/zone_tracker.h"

#include <array>
#include <string_view>

#include "ds4.h"

namespace ds4 {

static constexpr std::array<std::string_view, 3> kMarkers = {"｜DSML｜", "DSML｜", ""};
static constexpr std::string_view kBlock = "tool_calls>";
// The longest opener, "<｜DSML｜tool_calls>", and the byte before a plain one.
static constexpr size_t kHeldOutside = 32;
// A longer tag is not one of ours: only its end is looked for.
static constexpr size_t kMaxTag = 64 * 1024;

uint32_t ZoneTracker::feed(std::span<const uint8_t> bytes) {
    for (const uint8_t byte : bytes) feed_byte(char(byte));
    return zone();
}

uint32_t ZoneTracker::zone() const {
    switch (state_) {
    case State::Outside: return DS4_ZONE_OUTSIDE;
    case State::Between:
    case State::Tag: return DS4_ZONE_STRUCTURAL;
    case State::StringBody: return held_.size() >= 2 ? DS4_ZONE_STRUCTURAL : DS4_ZONE_STRING_BODY;
    case State::Json: return held_.size() >= 2 ? DS4_ZONE_STRUCTURAL : DS4_ZONE_JSON_STRUCTURAL;
    case State::JsonString: return DS4_ZONE_JSON_STRING;
    }
    return DS4_ZONE_OUTSIDE;
}

void ZoneTracker::feed_byte(char c) {
    switch (state_) {
    case State::Outside: return feed_outside(c);
    case State::Between:
        if (c == '<') {
            state_ = State::Tag;
            held_ = "<";
            quoted_ = false;
        }
        return;
    case State::Tag: return feed_tag(c);
    case State::StringBody:
    case State::Json: return feed_payload(c);
    case State::JsonString:
        if (escaped_)
            escaped_ = false;
        else if (c == '\\')
            escaped_ = true;
        else if (c == '"')
            state_ = State::Json;
        return;
    }
}

void ZoneTracker::feed_outside(char c) {
    if (held_.size() == kHeldOutside) held_.erase(0, 1);
    held_ += c;
    if (c != '>' || !held_.ends_with(kBlock)) return;
    const std::string_view before = std::string_view(held_).substr(0, held_.size() - kBlock.size());
    for (const std::string_view marker : kMarkers) {
        const std::string prefix = "<" + std::string(marker);
        if (!before.ends_with(prefix)) continue;
        const std::string_view ahead = before.substr(0, before.size() - prefix.size());
        if (marker.empty() && !ahead.empty() && ahead.back() != '\n') continue;
        prefix_ = prefix;
        state_ = State::Between;
        held_.clear();
        return;
    }
}

void ZoneTracker::feed_tag(char c) {
    if (held_.size() < kMaxTag) held_ += c;
    if (c == '"') quoted_ = !quoted_;
    if (c == '>' && !quoted_) end_tag();
}

void ZoneTracker::end_tag() {
    const std::string tag = std::move(held_);
    held_.clear();
    const std::string name = tag.starts_with("</") ? "</" + prefix_.substr(1) : prefix_;
    state_ = State::Between;
    if (!tag.starts_with(name)) return;
    const std::string_view rest = std::string_view(tag).substr(name.size());
    if (tag.starts_with("</")) {
        if (rest != kBlock) return;
        state_ = State::Outside;
        closed_blocks_++;
    } else if (rest.starts_with("parameter")) {
        // Without the attribute a value is a string.
        state_ = rest.find("string=\"false\"") != std::string_view::npos ? State::Json
                                                                         : State::StringBody;
    }
}

// A closing tag may begin at any '<' of a string value, and outside the strings of a JSON value.
void ZoneTracker::feed_payload(char c) {
    if (!held_.empty()) {
        const std::string closer = "</" + prefix_.substr(1) + "parameter>";
        if (closer[held_.size()] == c) {
            held_ += c;
            if (held_.size() == closer.size()) {
                held_.clear();
                state_ = State::Between;
            }
            return;
        }
        held_.clear(); // '<' occurs in a closer only as its first byte, so nothing before c can
                       // begin one
    }
    if (c == '<')
        held_ = "<";
    else if (c == '"' && state_ == State::Json)
        state_ = State::JsonString;
}

} // namespace ds4
