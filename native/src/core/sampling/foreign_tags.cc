#include "core/sampling/foreign_tags.h"

#include <algorithm>
#include <cctype>

#include "core/sampling/tool_tags.h"

namespace ds4 {

namespace {

// Everything that models write in the place of the bar of a marker.
constexpr std::string_view kBars[] = {"｜", "|", "│", "∣", "¦"};
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

// A bar, or "dsml" in any case, behind "<" with blanks and slashes.
Match match_marker(std::string_view text) {
    const size_t begin = text.find_first_not_of(" /", 1);
    if (begin == std::string_view::npos) return text.size() <= 4 ? Match::Beginning : Match::No;
    const std::string_view rest = text.substr(begin);
    Match best = Match::No;
    for (const std::string_view bar : kBars) best = std::max(best, match(rest, bar));
    std::string lower(rest);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return char(std::tolower(c)); });
    return std::max(best, match(lower, "dsml"));
}

} // namespace

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
