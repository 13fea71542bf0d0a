#include "core/sampling/code_spans.h"

#include <cctype>
#include <string_view>

namespace ds4 {

static constexpr size_t kMaxPrefix = 80;

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

void CodeSpans::feed(char c) {
    if (c == '`' || c == '~') {
        if (run_.length > 0 && run_.mark != c) end_run();
        run_ = {c, run_.length + 1};
        return;
    }
    end_run();
    if (c == '\n') return end_line();
    if (!is_blank(c)) closing_ = {};
    if (prefix_ended_) return;
    prefix_ += c;
    prefix_ended_ = prefix_.size() > kMaxPrefix;
}

bool CodeSpans::in_code() const {
    CodeSpans after = *this;
    after.end_run();
    return after.fence_.length > 0 || after.span_ > 0;
}

// Blanks, quote marks and a list marker may stand before a fence.
bool CodeSpans::may_begin_fence() const {
    if (prefix_ended_) return false;
    const std::string_view text = prefix_;
    size_t at = 0;
    const auto skip_blanks = [&](bool quotes) {
        const size_t begin = at;
        while (at < text.size() && (is_blank(text[at]) || (quotes && text[at] == '>'))) at++;
        return at > begin;
    };
    skip_blanks(true);
    if (at == text.size()) return true;
    if (text[at] == '-' || text[at] == '*' || text[at] == '+') {
        at++;
    } else {
        const size_t begin = at;
        while (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at]))) at++;
        if (at == begin || at - begin > 9 || at == text.size()) return false;
        if (text[at] != '.' && text[at] != ')') return false;
        at++;
    }
    return skip_blanks(false) && at == text.size();
}

void CodeSpans::end_run() {
    if (run_.length == 0) return;
    const Run run = run_;
    run_ = {};
    if (run.mark == '~' && run.length < 3) { // ordinary text
        closing_ = {};
        if (!prefix_ended_) prefix_.append(run.length, run.mark);
        return;
    }
    const bool first = may_begin_fence();
    prefix_ended_ = true;
    const auto toggle_span = [&] {
        if (run.mark != '`') return;
        if (span_ == 0)
            span_ = run.length;
        else if (span_ == run.length)
            span_ = 0;
    };
    if (fence_.length > 0 && opening_line_ && fence_.mark == '`') {
        if (run.mark != '`') return;
        span_ = fence_.length; // a second run shows that the first one began a span
        fence_ = {};
        toggle_span();
    } else if (fence_.length > 0) {
        closing_ = first && run.mark == fence_.mark && run.length >= fence_.length ? run : Run{};
    } else if (first && run.length >= 3) {
        fence_ = run;
        opening_line_ = true;
    } else {
        toggle_span();
    }
}

void CodeSpans::end_line() {
    if (closing_.length > 0) fence_ = {};
    closing_ = {};
    opening_line_ = false;
    span_ = 0;
    prefix_.clear();
    prefix_ended_ = false;
}

} // namespace ds4
