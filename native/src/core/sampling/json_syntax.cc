#include "core/sampling/json_syntax.h"

#include <cctype>
#include <string_view>

namespace ds4 {

static constexpr size_t kMaxDepth = 128;
// A model that writes more digits or blanks than this has lost its way.
static constexpr size_t kMaxLiteral = 64;
static constexpr int kMaxJsonBlanks = 256;

static bool is_json_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

bool JsonSyntax::feed(char c) {
    if (in_string_) {
        if (escaped_) {
            escaped_ = false;
        } else if (c == '\\') {
            escaped_ = true;
        } else if (c == '"') {
            in_string_ = false;
            if (is_key_)
                expected_ = Expected::Colon;
            else
                end_value();
        }
        return true;
    }
    const bool in_literal =
        std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '+' || c == '.';
    if (!literal_.empty()) {
        if (in_literal) {
            literal_ += c;
            if (literal_.size() > kMaxLiteral) return false;
            for (const std::string_view word : {"true", "false", "null"})
                if (word.starts_with(literal_)) return true;
            return literal_.find_first_not_of("0123456789+-.eE") == std::string::npos;
        }
        if (!end_literal()) return false;
    }
    if (is_json_blank(c)) return ++blanks_ <= kMaxJsonBlanks;
    blanks_ = 0;
    return feed_structure(c);
}

bool JsonSyntax::end_literal() {
    const bool is_word = std::isalpha(static_cast<unsigned char>(literal_[0]));
    const bool is_whole =
        !is_word || literal_ == "true" || literal_ == "false" || literal_ == "null";
    literal_.clear();
    end_value();
    return is_whole;
}

bool JsonSyntax::feed_structure(char c) {
    switch (expected_) {
    case Expected::ValueOrEnd:
        if (c == ']') return close(false);
        return begin_value(c);
    case Expected::Value: return begin_value(c);
    case Expected::KeyOrEnd:
        if (c == '}') return close(true);
        [[fallthrough]];
    case Expected::Key: in_string_ = is_key_ = true; return c == '"';
    case Expected::Colon: expected_ = Expected::Value; return c == ':';
    case Expected::CommaOrEnd:
        if (c == ']' || c == '}') return close(c == '}');
        expected_ = objects_.back() ? Expected::Key : Expected::Value;
        return c == ',';
    case Expected::Nothing: return false;
    }
    return false;
}

bool JsonSyntax::begin_value(char c) {
    if (c == '[' || c == '{') return open(c == '{');
    if (c == '"') {
        in_string_ = true;
        is_key_ = false;
        return true;
    }
    literal_ = c;
    return std::string_view("-0123456789tfn").find(c) != std::string_view::npos;
}

bool JsonSyntax::open(bool is_object) {
    objects_.push_back(is_object);
    expected_ = is_object ? Expected::KeyOrEnd : Expected::ValueOrEnd;
    return objects_.size() <= kMaxDepth;
}

bool JsonSyntax::close(bool is_object) {
    if (objects_.empty() || objects_.back() != is_object) return false;
    objects_.pop_back();
    end_value();
    return true;
}

void JsonSyntax::end_value() {
    expected_ = objects_.empty() ? Expected::Nothing : Expected::CommaOrEnd;
}

} // namespace ds4
