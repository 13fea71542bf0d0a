#include "experts/loading/json_reader.h"

#include "pool/expert_error.h"

namespace ds4::ktb {
namespace {

constexpr int kMaximumDepth = 32;

void append_utf8(std::string &out, uint32_t point) {
    if (point < 0x80) {
        out += char(point);
    } else if (point < 0x800) {
        out += char(0xc0 | point >> 6);
        out += char(0x80 | (point & 63));
    } else if (point < 0x10000) {
        out += char(0xe0 | point >> 12);
        out += char(0x80 | (point >> 6 & 63));
        out += char(0x80 | (point & 63));
    } else {
        out += char(0xf0 | point >> 18);
        out += char(0x80 | (point >> 12 & 63));
        out += char(0x80 | (point >> 6 & 63));
        out += char(0x80 | (point & 63));
    }
}

} // namespace

void JsonReader::error(const std::string &expected) const {
    fail(KTB_ERR_FORMAT, "%s: expected %s at byte %zu", what_.c_str(), expected.c_str(), at_);
}

void JsonReader::space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
        at_++;
}

char JsonReader::peek() {
    space();
    return at_ < text_.size() ? text_[at_] : '\0';
}

void JsonReader::expect(char c) {
    if (peek() != c) error(std::string("'") + c + "'");
    at_++;
}

void JsonReader::enter_object() { expect('{'), first_ = true; }
void JsonReader::enter_array() { expect('['), first_ = true; }

bool JsonReader::next(char close) {
    const bool first = first_;
    first_ = false;
    if (peek() == close) return at_++, false;
    if (!first) expect(',');
    return true;
}

bool JsonReader::next_key(std::string &key) {
    if (!next('}')) return false;
    key = string();
    expect(':');
    return true;
}

bool JsonReader::next_item() { return next(']'); }

uint32_t JsonReader::hex4() {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++, at_++) {
        const char c = at_ < text_.size() ? text_[at_] : '\0';
        if (c >= '0' && c <= '9')
            value = value * 16 + uint32_t(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + uint32_t(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            value = value * 16 + uint32_t(c - 'A' + 10);
        else
            error("four hexadecimal digits");
    }
    return value;
}

std::string JsonReader::string() {
    expect('"');
    std::string out;
    while (true) {
        if (at_ >= text_.size()) error("the end of a string");
        const char c = text_[at_++];
        if (c == '"') return out;
        if (static_cast<unsigned char>(c) < 0x20) error("no control character in a string");
        if (c != '\\') {
            out += c;
            continue;
        }
        const char escape = at_ < text_.size() ? text_[at_++] : '\0';
        constexpr std::string_view kFrom = "\"\\/bfnrt", kTo = "\"\\/\b\f\n\r\t";
        if (escape == 'u') {
            uint32_t point = hex4();
            if (point >= 0xd800 && point < 0xdc00 && text_.substr(at_, 2) == "\\u") {
                at_ += 2;
                const uint32_t low = hex4();
                if (low < 0xdc00 || low > 0xdfff) error("a low surrogate");
                point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
            }
            append_utf8(out, point);
        } else if (escape != '\0' && kFrom.find(escape) != std::string_view::npos) {
            out += kTo[kFrom.find(escape)];
        } else {
            error("an escape sequence");
        }
    }
}

int64_t JsonReader::integer() {
    const bool negative = peek() == '-';
    if (negative) at_++;
    const size_t begin = at_;
    int64_t value = 0;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
        const int digit = text_[at_] - '0';
        if (value > (INT64_MAX - digit) / 10) error("an integer below 2^63");
        value = value * 10 + digit;
        at_++;
    }
    if (at_ == begin ||
        (at_ < text_.size() && (text_[at_] == '.' || text_[at_] == 'e' || text_[at_] == 'E')))
        error("an integer");
    return negative ? -value : value;
}

bool JsonReader::boolean() {
    peek(); // past the space
    for (const std::string_view word : {std::string_view("true"), std::string_view("false")})
        if (text_.substr(at_, word.size()) == word) {
            at_ += word.size();
            return word == "true";
        }
    error("true or false");
}

void JsonReader::skip() { skip_at(0); }

void JsonReader::skip_at(int depth) {
    if (depth > kMaximumDepth) error("at most 32 nested values");
    const char c = peek();
    std::string key;
    if (c == '{') {
        enter_object();
        while (next_key(key)) skip_at(depth + 1);
    } else if (c == '[') {
        enter_array();
        while (next_item()) skip_at(depth + 1);
    } else if (c == '"') {
        string();
    } else {
        const size_t begin = at_;
        while (at_ < text_.size() &&
               std::string_view(",]} \n\t\r").find(text_[at_]) == std::string_view::npos)
            at_++;
        if (at_ == begin) error("a value");
    }
}

void JsonReader::end() {
    if (peek() != '\0' || at_ < text_.size()) error("the end of the text");
}

} // namespace ds4::ktb
