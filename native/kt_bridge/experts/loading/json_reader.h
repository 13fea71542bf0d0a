// A pull reader over JSON text that is not trusted. The text is UTF-8, and no object has a key
// twice. At most kMaximumJsonDepth objects and lists are open. Every error has a position.
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace ds4::ktb {

constexpr size_t kMaximumJsonDepth = 32;
constexpr uint64_t kMaximumCount = (uint64_t(1) << 53) - 1; // JavaScript holds no larger exactly

class JsonReader {
  public:
    // `what` names the text in messages ("options", "shard.safetensors header"). Throws ExpertError
    // KTB_ERR_FORMAT, as all members do, for text that is no UTF-8. The text must outlive it.
    JsonReader(std::string_view text, std::string what);

    // Objects: enter, then next_key until it returns false. Lists: enter, then next_item until
    // false.
    void enter_object();
    bool next_key(std::string &key);
    void enter_array();
    bool next_item();

    std::string string();
    int64_t integer(); // written without point and exponent
    uint64_t count();  // 0..kMaximumCount; 8, 8.0 and 8e0 are the same
    bool boolean();
    void skip(); // any value
    void end();  // nothing but space may follow
    [[noreturn]] void error(const std::string &expected) const;

  private:
    struct Open { // an object or list that has been entered and not left
        bool is_first = true;
        std::set<std::string> keys;
    };
    void space();
    char peek();
    char here() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    bool take(std::string_view word);
    void expect(char c);
    void enter(char c);
    bool next(char close);
    std::string_view digits();
    void fraction_digits();
    std::string_view number();
    uint32_t escaped_character();
    uint32_t hex4();

    std::string_view text_;
    std::string what_;
    size_t at_ = 0;
    std::vector<Open> open_;
};

} // namespace ds4::ktb
