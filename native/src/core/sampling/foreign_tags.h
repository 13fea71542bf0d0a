// Watches text outside of tool blocks for tags that are not spelled as trained. The parser of
// packages/chat may read a call in them all the same.
#pragma once
#include <string>
#include <string_view>

namespace ds4 {

class ForeignTags {
  public:
    // Returns true when the bytes so far end in the beginning of such a tag.
    bool feed(char c);
    void reset() { candidate_.clear(); }

  private:
    std::string candidate_; // from its "<" on; empty: none
};

// Whether text in a value, from a "<" on, is a tag of a block in any spelling. The value's own
// closing tag, of the family of marker, is none. The parser may end the value there.
bool ends_value_elsewhere(std::string_view text, std::string_view marker);

} // namespace ds4
