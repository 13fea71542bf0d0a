#include "core/sampling/tool_tags.h"

#include <algorithm>

namespace ds4 {

// Longer names than this are none.
static constexpr size_t kMaxName = 1024;

// The tag if bytes are the literal, Partial if they begin it.
static ToolTag match_literal(std::string_view bytes, std::string_view literal, ToolTag tag) {
    if (bytes == literal) return tag;
    return literal.starts_with(bytes) ? ToolTag::Partial : ToolTag::None;
}

static bool is_allowed_name(std::string_view name, bool is_whole,
                            std::span<const std::string> tools) {
    if (name.size() > kMaxName || name.find_first_of("\n\r<") != std::string_view::npos)
        return false;
    if (is_whole && name.empty()) return false;
    return tools.empty() || std::any_of(tools.begin(), tools.end(), [&](const std::string &tool) {
               return is_whole ? tool == name : std::string_view(tool).starts_with(name);
           });
}

// Reads `<…invoke name="NAME"`; `after` becomes what follows the name's closing quote. Returns
// Partial while that has not come.
static ToolTag match_named(std::string_view bytes, const std::string &head,
                           std::span<const std::string> tools, std::string_view &after) {
    if (bytes.size() <= head.size()) return match_literal(bytes, head, ToolTag::Partial);
    if (!bytes.starts_with(head)) return ToolTag::None;
    const std::string_view rest = bytes.substr(head.size());
    const size_t quote = rest.find('"');
    const bool is_whole = quote != std::string_view::npos;
    if (!is_allowed_name(rest.substr(0, quote), is_whole, tools)) return ToolTag::None;
    if (!is_whole) return ToolTag::Partial;
    after = rest.substr(quote + 1);
    return ToolTag::Invoke;
}

static ToolTag match_invoke(std::string_view bytes, const std::string &open,
                            std::span<const std::string> tools) {
    std::string_view after;
    const ToolTag tag = match_named(bytes, open + "invoke name=\"", tools, after);
    return tag == ToolTag::Invoke ? match_literal(after, ">", ToolTag::Invoke) : tag;
}

// Without the attribute a value is a string.
static ToolTag match_parameter(std::string_view bytes, const std::string &open) {
    std::string_view after;
    const ToolTag named = match_named(bytes, open + "parameter name=\"", {}, after);
    if (named != ToolTag::Invoke) return named;
    return std::max({match_literal(after, ">", ToolTag::StringValue),
                     match_literal(after, " string=\"true\">", ToolTag::StringValue),
                     match_literal(after, " string=\"false\">", ToolTag::JsonValue)});
}

ToolTag read_tool_tag(std::string_view bytes, std::string_view marker, bool in_call,
                      std::span<const std::string> tools) {
    const std::string open = "<" + std::string(marker), close = "</" + std::string(marker);
    ToolTag tag = std::max(match_invoke(bytes, open, tools),
                           match_literal(bytes, close + "tool_calls>", ToolTag::CloseBlock));
    if (in_call)
        tag = std::max({tag, match_parameter(bytes, open),
                        match_literal(bytes, close + "invoke>", ToolTag::CloseInvoke)});
    return tag;
}

std::vector<std::string> read_tool_names(const char *lines) {
    std::vector<std::string> names;
    if (lines == nullptr) return names;
    std::string_view rest = lines;
    for (size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
        names.emplace_back(rest.substr(0, end));
        rest.remove_prefix(end + 1);
    }
    return names;
}

} // namespace ds4
