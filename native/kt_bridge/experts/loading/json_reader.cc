#include "experts/loading/json_reader.h"

#include <charconv>

#include "pool/expert_error.h"

namespace ds4::ktb {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

void append_utf8(std::string &out, uint32_t point) {
    if (point < 0x80) {
        out += char(point);
        return;
    }
    const int continuations = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    constexpr uint32_t kLead[4] = {0, 0xc0, 0xe0, 0xf0};
    out += char(kLead[continuations] | point >> 6 * continuations);
    for (int i = continuations - 1; i >= 0; i--) out += char(0x80 | (point >> 6 * i & 63));
}

// Bytes of the character that begins at `at`, 0 when it is no UTF-8 (RFC 3629, section 4).
size_t utf8_bytes(std::string_view text, size_t at) {
    const auto byte = [&](size_t i) {
        return at + i < text.size() ? uint32_t(uint8_t(text[at + i])) : 0;
    };
    const auto continues = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
    const uint32_t lead = byte(0), second = byte(1);
    if (lead < 0x80) return 1;
    if (lead >= 0xc2 && lead < 0xe0) return continues(1) ? 2 : 0;
    if (lead >= 0xe0 && lead < 0xf0) {
        const bool is_overlong = lead == 0xe0 && second < 0xa0;
        const bool is_surrogate = lead == 0xed && second >= 0xa0;
        return continues(1) && continues(2) && !is_overlong && !is_surrogate ? 3 : 0;
    }
    if (lead < 0xf0 || lead > 0xf4) return 0;
    const bool is_overlong = lead == 0xf0 && second < 0x90;
    const bool is_beyond = lead == 0xf4 && second >= 0x90;
    return continues(1) && continues(2) && continues(3) && !is_overlong && !is_beyond ? 4 : 0;
}

} // namespace

JsonReader::JsonReader(std::string_view text, std::string what)
    : text_(text), what_(std::move(what)) {
    for (size_t bytes = 1; at_ < text_.size(); at_ += bytes)
        if (bytes = utf8_bytes(text_, at_); bytes == 0) error("UTF-8");
    at_ = 0;
}

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
    return here();
}

bool JsonReader::take(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
}

void JsonReader::expect(char c) {
    if (peek() != c) error(std::string("'") + c + "'");
    at_++;
}

void JsonReader::enter(char c) {
    expect(c);
    if (open_.size() == kMaximumJsonDepth)
        error("at most " + std::to_string(kMaximumJsonDepth) + " nested values");
    open_.emplace_back();
}
void JsonReader::enter_object() { enter('{'); }
void JsonReader::enter_array() { enter('['); }

bool JsonReader::next(char close) {
    const bool is_first = open_.back().is_first;
    open_.back().is_first = false;
    if (peek() == close) {
        at_++;
        open_.pop_back();
        return false;
    }
    if (!is_first) expect(',');
    return true;
}

bool JsonReader::next_key(std::string &key) {
    if (!next('}')) return false;
    key = string();
    if (!open_.back().keys.insert(key).second)
        fail(KTB_ERR_FORMAT, "%s: key \"%s\" appears twice, at byte %zu", what_.c_str(),
             key.c_str(), at_);
    expect(':');
    return true;
}

bool JsonReader::next_item() { return next(']'); }

uint32_t JsonReader::hex4() {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++, at_++) {
        const char c = here();
        if (is_digit(c))
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

// The code point of an escape sequence, past its backslash.
uint32_t JsonReader::escaped_character() {
    constexpr std::string_view kFrom = "\"\\/bfnrt", kTo = "\"\\/\b\f\n\r\t";
    const char escape = here();
    if (escape != '\0' && kFrom.find(escape) != std::string_view::npos) {
        at_++;
        return uint32_t(kTo[kFrom.find(escape)]);
    }
    if (!take("u")) error("an escape sequence");
    const uint32_t point = hex4();
    if (point < 0xd800 || point > 0xdfff) return point;
    if (point > 0xdbff || !take("\\u")) error("a pair of surrogates");
    const uint32_t low = hex4();
    if (low < 0xdc00 || low > 0xdfff) error("a low surrogate");
    return 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
}

std::string JsonReader::string() {
    expect('"');
    std::string out;
    while (true) {
        if (at_ >= text_.size()) error("the end of a string");
        const char c = text_[at_++];
        if (c == '"') return out;
        if (static_cast<unsigned char>(c) < 0x20) error("no control character in a string");
        if (c == '\\')
            append_utf8(out, escaped_character());
        else
            out += c;
    }
}

// The digits of a whole number, no zero before others.
std::string_view JsonReader::digits() {
    const size_t begin = at_;
    while (is_digit(here())) at_++;
    const std::string_view found = text_.substr(begin, at_ - begin);
    if (found.empty() || (found.size() > 1 && found[0] == '0')) error("an integer");
    return found;
}

// The digits behind a point or an exponent.
void JsonReader::fraction_digits() {
    if (!is_digit(here())) error("a digit");
    while (is_digit(here())) at_++;
}

// The text of any number (RFC 8259, section 6).
std::string_view JsonReader::number() {
    space();
    const size_t begin = at_;
    take("-");
    digits();
    if (take(".")) fraction_digits();
    if (take("e") || take("E")) {
        if (!take("+")) take("-");
        fraction_digits();
    }
    return text_.substr(begin, at_ - begin);
}

int64_t JsonReader::integer() {
    const bool negative = peek() == '-';
    if (negative) at_++;
    int64_t value = 0;
    for (const char c : digits()) {
        const int digit = c - '0';
        if (value > (INT64_MAX - digit) / 10) error("an integer below 2^63");
        value = value * 10 + digit;
    }
    if (here() == '.' || here() == 'e' || here() == 'E') error("an integer");
    return negative ? -value : value;
}

uint64_t JsonReader::count() {
    if (peek() == '-') error("an integer");
    const std::string_view text = number();
    double value = -1; // stays when the number is out of range
    std::from_chars(text.data(), text.data() + text.size(), value);
    if (!(value >= 0 && value <= double(kMaximumCount))) error("an integer below 2^53");
    if (value != double(uint64_t(value))) error("an integer");
    return uint64_t(value);
}

bool JsonReader::boolean() {
    space();
    if (take("true")) return true;
    if (take("false")) return false;
    error("true or false");
}

void JsonReader::skip() {
    const char c = peek();
    std::string key;
    if (c == '{') {
        enter_object();
        while (next_key(key)) skip();
    } else if (c == '[') {
        enter_array();
        while (next_item()) skip();
    } else if (c == '"') {
        string();
    } else if (c == '-' || is_digit(c)) {
        number();
    } else if (!take("true") && !take("false") && !take("null")) {
        error("a value");
    }
}

void JsonReader::end() {
    if (peek() != '\0' || at_ < text_.size()) error("the end of the text");
}

} // namespace ds4::ktb
