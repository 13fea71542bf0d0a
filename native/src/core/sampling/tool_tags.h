// The tags of a tool block as trained, in one of three families that differ in their marker.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ds4 {

// The markers of the families. That of the plain one is empty.
inline constexpr std::string_view kToolMarkers[] = {"｜DSML｜", "DSML｜", ""};

// Partial: the bytes so far may become a tag. None: they cannot. StringValue and JsonValue open a
// parameter.
enum class ToolTag { None, Partial, Invoke, CloseInvoke, CloseBlock, StringValue, JsonValue };

// Reads the beginning of a tag. in_call: parameters may come. tools: the names that an invoke may
// have; empty: any.
ToolTag read_tool_tag(std::string_view bytes, std::string_view marker, bool in_call,
                      std::span<const std::string> tools);

// The names in a list of lines; null: none.
std::vector<std::string> read_tool_names(const char *lines);

} // namespace ds4
