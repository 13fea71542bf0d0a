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

} // namespace ds4
