#include "core/sampling/foreign_tags.h"

#include <algorithm>
#include <cctype>

#include "core/sampling/tool_tags.h"

namespace ds4 {

namespace {

// Everything that models write in the place of the bar of a marker.
constexpr std::string_view kBars[] = {"｜", "|", "│", "∣", "¦"};
constexpr std::string_view kPlainInValues[] = {"<invoke", "<parameter", "</invoke", "</tool_calls",
                                               "</function_calls"};
constexpr std::string_view kPlainTags[] = {"<invoke", "<parameter", "<function_calls"};

enum class Match { No, Beginning, Whole };

Match match(std::string_view text, std::string_view literal) {
    if (text.starts_with(literal)) return Match::Whole;
    return literal.starts_with(text) ? Match::Beginning : Match::No;
}

bool begins_opener(std::string_view text) {
    return std::any_of(std::begin(kToolMarkers), std::end(kToolMarkers), [&](auto marker) {
        const std::string opener = "<" + std::string(marker) + "tool_calls>";
        return opener.starts_with(text);
    });
}

std::string lower_case(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return char(std::tolower(c)); });
    return lower;
}

// A bar, or "dsml" in any case, behind "<" with blanks and slashes.
Match match_marker(std::string_view text) {
    const size_t begin = text.find_first_not_of(" /", 1);
    if (begin == std::string_view::npos) return text.size() <= 4 ? Match::Beginning : Match::No;
    const std::string_view rest = text.substr(begin);
    Match best = Match::No;
    for (const std::string_view bar : kBars) best = std::max(best, match(rest, bar));
    return std::max(best, match(lower_case(rest), "dsml"));
}

// Whether "dsml" stands behind "<" with blanks, slashes and bars.
bool has_marker_word(std::string_view text) {
    size_t at = 1;
    for (bool skipped = true; skipped;) {
        skipped = at < text.size() && (text[at] == ' ' || text[at] == '/');
        if (skipped) at++;
        for (const std::string_view bar : kBars) {
            if (!text.substr(at).starts_with(bar)) continue;
            at += bar.size();
            skipped = true;
        }
    }
    return lower_case(text.substr(at)).starts_with("dsml");
}

} // namespace

bool ends_value_elsewhere(std::string_view text, std::string_view marker) {
    const std::string closer = "</" + std::string(marker) + "parameter>";
    if (closer.starts_with(text)) return false;
    if (has_marker_word(text)) return true;
    return marker.empty() && std::any_of(std::begin(kPlainInValues), std::end(kPlainInValues),
                                         [&](auto tag) { return text.starts_with(tag); });
}

bool ForeignTags::feed(char c) {
    if (c == '<') candidate_.clear();
    if (c != '<' && candidate_.empty()) return false;
    candidate_ += c;
    Match found = match_marker(candidate_);
    for (const std::string_view tag : kPlainTags) found = std::max(found, match(candidate_, tag));
    const bool is_opener = begins_opener(candidate_);
    const bool is_foreign = found == Match::Whole && !is_opener;
    const bool is_whole_opener = is_opener && c == '>';
    if (is_foreign || is_whole_opener || (found == Match::No && !is_opener)) candidate_.clear();
    return is_foreign;
}

} // namespace ds4
