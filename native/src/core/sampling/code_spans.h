// Follows Markdown code in an answer: a tool block inside of it is a sample, not a call. The rules
// are those of packages/chat/src/parser/code-spans.ts, except that a backtick counts at once.
#pragma once
#include <cstddef>
#include <string>

namespace ds4 {

class CodeSpans {
  public:
    void feed(char c);
    // Whether the next byte, unless it is another mark, is in a fence or behind an open backtick.
    bool in_code() const;
    // Whether a fence is open, in which no tag counts.
    bool in_fence() const { return fence_.length > 0 && !opening_line_; }

  private:
    struct Run {
        char mark = 0;
        size_t length = 0; // 0: none
    };
    void end_run();
    void end_line();
    bool may_begin_fence() const;

    Run run_;                   // marks that were just fed
    Run fence_;                 // the open fence
    Run closing_;               // the run that closes it, if only blanks follow it
    size_t span_ = 0;           // length of the backticks that opened a span on this line; 0: none
    bool opening_line_ = false; // the line opened the fence
    std::string prefix_;        // the line so far, while a fence may follow it
    bool prefix_ended_ = false;
};

} // namespace ds4
