// Follows a JSON value byte by byte, until it can become none any more. It tells syntax from the
// text of strings. Numbers and strings are not checked to the letter.
#pragma once
#include <string>
#include <vector>

namespace ds4 {

class JsonSyntax {
  public:
    // Returns false when the bytes so far begin no JSON value; nothing may be fed after that.
    bool feed(char c);
    bool in_string() const { return in_string_; }

  private:
    enum class Expected { Value, ValueOrEnd, Key, KeyOrEnd, Colon, CommaOrEnd, Nothing };
    bool feed_structure(char c);
    bool open(bool is_object);
    bool close(bool is_object);
    bool begin_value(char c);
    bool end_literal();
    void end_value();

    Expected expected_ = Expected::Value;
    std::vector<bool> objects_; // the open containers, outermost first: whether each is an object
    std::string literal_;       // of the number or word that is being read
    bool in_string_ = false;
    bool is_key_ = false;
    bool escaped_ = false;
    int blanks_ = 0; // in a row
};

} // namespace ds4
