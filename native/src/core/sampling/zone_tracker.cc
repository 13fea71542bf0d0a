#include "core/sampling/zone_tracker.h"

#include <string_view>

#include "ds4.h"

namespace ds4 {

static constexpr std::string_view kBlock = "tool_calls>";
// The longest opener, and what the parser looks at before a plain one.
static constexpr size_t kRecent = 96;
// More white space than this belongs to no block.
static constexpr uint32_t kMaxBlockBlanks = 1024;

// Markers and names of tags are shorter than this, in any spelling.
static constexpr size_t kMaxTagHead = 40;

static bool is_block_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

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
    case State::Json:
        if (json_.in_string()) return DS4_ZONE_JSON_STRING;
        return held_.size() >= 2 ? DS4_ZONE_STRUCTURAL : DS4_ZONE_JSON_STRUCTURAL;
    }
    return DS4_ZONE_OUTSIDE;
}

void ZoneTracker::feed_byte(char c) {
    if (recent_.size() == 2 * kRecent) {
        recent_.erase(0, kRecent);
        forgot_ = true;
    }
    recent_ += c;
    switch (state_) {
    case State::Outside: return find_opener(c);
    case State::Between: return feed_between(c);
    case State::Tag: return feed_tag(c);
    case State::StringBody:
    case State::Json: return feed_payload(c);
    }
}

// A plain opener begins a line, and does not follow another wrapper.
static bool allows_plain(std::string_view before, bool forgot) {
    if (before.empty()) return true;
    if (before.back() != '\n') return false;
    const size_t end = before.find_last_not_of(" \t\n\v\f\r");
    if (end == std::string_view::npos) return !forgot;
    const std::string_view text = before.substr(0, end + 1);
    return !text.ends_with("tool_calls>") && !text.ends_with("function_calls>");
}

void ZoneTracker::find_opener(char c) {
    code_.feed(c);
    if (foreign_.feed(c) && !code_.in_fence()) lost_ = true;
    if (lost_ || c != '>' || !recent_.ends_with(kBlock)) return;
    const std::string_view head =
        std::string_view(recent_).substr(0, recent_.size() - kBlock.size());
    for (const std::string_view marker : kToolMarkers) {
        if (!head.ends_with("<" + std::string(marker))) continue;
        const std::string_view before = head.substr(0, head.size() - marker.size() - 1);
        if ((marker.empty() && !allows_plain(before, forgot_)) || code_.in_code()) return;
        foreign_.reset();
        marker_ = marker;
        state_ = State::Between;
        in_call_ = false;
        calls_ = blanks_ = 0;
        return;
    }
}

// The bytes are no block. Before a call they are text like any other; a call that goes on in
// another spelling is the parser's.
void ZoneTracker::leave(char c) {
    lost_ = in_call_ || calls_ > 0;
    if (state_ == State::Tag) {
        const std::string_view before = std::string_view(tag_).substr(0, tag_.size() - 1);
        for (const char byte : before)
            if (foreign_.feed(byte)) lost_ = true;
    }
    state_ = State::Outside;
    find_opener(c);
}

void ZoneTracker::feed_between(char c) {
    if (c == '<') {
        state_ = State::Tag;
        tag_ = "<";
    } else if (!is_block_blank(c) || ++blanks_ > kMaxBlockBlanks) {
        leave(c);
    } else {
        code_.feed(c);
    }
}

void ZoneTracker::feed_tag(char c) {
    tag_ += c;
    const ToolTag tag = read_tool_tag(tag_, marker_, in_call_, tools_);
    if (tag != ToolTag::Partial) act(tag);
}

void ZoneTracker::act(ToolTag tag) {
    if (tag == ToolTag::None) return leave(tag_.back());
    blanks_ = 0;
    state_ = State::Between;
    switch (tag) {
    case ToolTag::Invoke:
        if (in_call_) calls_++; // its closing tag was forgotten
        in_call_ = true;
        return;
    case ToolTag::CloseInvoke:
        calls_++;
        in_call_ = false;
        return;
    case ToolTag::CloseBlock:
        if (in_call_) calls_++;
        state_ = State::Outside;
        if (calls_ > 0) closed_blocks_++;
        return;
    case ToolTag::StringValue:
    case ToolTag::JsonValue:
        state_ = tag == ToolTag::JsonValue ? State::Json : State::StringBody;
        json_ = {};
        held_.clear();
        bracket_.clear();
        return;
    case ToolTag::None:
    case ToolTag::Partial: return;
    }
}

// A closing tag may begin at any '<' of a value. Only the parser of the whole answer knows other
// ends.
void ZoneTracker::feed_payload(char c) {
    if (c == '<')
        bracket_ = "<";
    else if (!bracket_.empty() && bracket_.size() < kMaxTagHead)
        bracket_ += c;
    if (!bracket_.empty() && ends_value_elsewhere(bracket_, marker_)) return leave(c);
    const bool in_string = state_ == State::Json && json_.in_string();
    if (!held_.empty()) {
        const std::string closer = "</" + marker_ + "parameter>";
        if (closer[held_.size()] == c) {
            held_ += c;
            if (in_string) json_.feed(c);
            if (held_.size() == closer.size()) {
                held_.clear();
                state_ = State::Between;
            }
            return;
        }
        // '<' occurs in a closer only as its first byte, so nothing before c can begin one.
        held_.clear();
        if (!in_string) state_ = State::StringBody;
    }
    if (c == '<') held_ = "<";
    const bool is_json = state_ == State::Json && (in_string || c != '<');
    if (is_json && !json_.feed(c))
        state_ = State::StringBody; // no JSON: a model that goes on in words is not held to it
}

} // namespace ds4
