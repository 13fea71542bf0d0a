// A pull reader over JSON text that is not trusted: no recursion beyond a fixed depth, every error
// has a position.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace ds4::ktb {

class JsonReader {
  public:
    // `what` names the text in messages ("options", "shard.safetensors header").
    JsonReader(std::string_view text, std::string what) : text_(text), what_(std::move(what)) {}

    // Objects: enter, then next_key until it returns false. Arrays: enter, then next_item until
    // false.
    void enter_object();
    bool next_key(std::string &key);
    void enter_array();
    bool next_item();

    std::string string();
    int64_t integer(); // no fraction, no exponent
    bool boolean();
    void skip(); // any value
    void end();  // nothing but space may follow
    [[noreturn]] void error(const std::string &expected) const;

  private:
    void space();
    char peek();
    void expect(char c);
    bool next(char close);
    void skip_at(int depth);
    uint32_t hex4();

    std::string_view text_;
    std::string what_;
    size_t at_ = 0;
    bool first_ = false; // just entered: no comma before the next entry
};

} // namespace ds4::ktb
