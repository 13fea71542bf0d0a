#include "core/sampling/zone_tracker.h"

#include <string>
#include <string_view>

#include "base/test.h"
#include "ds4.h"

using namespace ds4;

static uint32_t zone_after(std::string_view text, std::vector<std::string> tools = {}) {
    ZoneTracker zones(std::move(tools));
    return zones.feed({reinterpret_cast<const uint8_t *>(text.data()), text.size()});
}

TEST("the plain family of tags opens a block only at the start of a line") {
    CHECK(zone_after("say <tool_calls>") == DS4_ZONE_OUTSIDE);
    CHECK(zone_after("<tool_calls>") == DS4_ZONE_STRUCTURAL);
    CHECK(zone_after("text\n<tool_calls>\n<invoke name=\"a\">\n<parameter name=\"b\">") ==
          DS4_ZONE_STRING_BODY);
}

TEST("a block of one family is not closed by the tags of another") {
    const std::string_view open =
        "<DSML｜tool_calls><DSML｜invoke name=\"a\"><DSML｜parameter name=\"b\" string=\"true\">x";
    CHECK(zone_after(std::string(open) + "</parameter>") == DS4_ZONE_STRING_BODY);
    CHECK(zone_after(std::string(open) + "</DSML｜parameter>") == DS4_ZONE_STRUCTURAL);
}

TEST("a closing bracket inside an attribute does not end the tag, and a closer can follow a false "
     "start") {
    const std::string call = "<tool_calls><invoke name=\"f\">";
    CHECK(zone_after(call + "<parameter name=\"a>b\" string=\"false\">") ==
          DS4_ZONE_JSON_STRUCTURAL);
    CHECK(zone_after(call + "<parameter name=\"a\" string=\"true\">x</p</parameter>") ==
          DS4_ZONE_STRUCTURAL);
}

TEST("the end of a block is counted once") {
    ZoneTracker zones;
    const std::string_view text =
        "<tool_calls>\n<invoke name=\"a\">\n</invoke>\n</tool_calls> and more";
    zones.feed({reinterpret_cast<const uint8_t *>(text.data()), text.size()});
    CHECK(zones.closed_blocks() == 1);
    CHECK(zones.zone() == DS4_ZONE_OUTSIDE);
}

static const std::string kOpener = "<｜DSML｜tool_calls>";
static const std::string kInvoke = "<｜DSML｜invoke name=\"f\">\n";
static const std::string kString = "<｜DSML｜parameter name=\"a\" string=\"true\">";
static const std::string kJson = "<｜DSML｜parameter name=\"a\" string=\"false\">";
static const std::string kEnd = "</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>";

static bool is_greedy(std::string_view text, std::vector<std::string> tools = {}) {
    const uint32_t zone = zone_after(text, std::move(tools));
    return zone == DS4_ZONE_STRUCTURAL || zone == DS4_ZONE_JSON_STRUCTURAL;
}

TEST("a zone ends at the first byte that is of no block") {
    const std::string before = "\n\n" + kOpener;
    const std::string beginnings[] = {"",
                                      "\n",
                                      "\n<｜DSML｜inv",
                                      "\n" + kInvoke,
                                      "\n" + kInvoke + "<｜DSML｜para",
                                      "\n" + kInvoke + kString + "x</｜DSML｜parameter>",
                                      "\n" + kInvoke + "</｜DSML｜invoke>\n"};
    for (const std::string &beginning : beginnings) {
        CHECK(is_greedy(before + beginning));
        for (const char *const other : {"Hmm.", "`", "<function>", "<tool_result>", "{\"a\": 1}"})
            CHECK(zone_after(before + beginning + other + " and so on") == DS4_ZONE_OUTSIDE);
    }
    CHECK(zone_after(before + "\n<｜DSML｜invoke name=\"f {\ncategory: z\n") == DS4_ZONE_OUTSIDE);
    CHECK(zone_after(before + "\n<｜DSML｜invoke name=“f”>\n") == DS4_ZONE_OUTSIDE);
    CHECK(zone_after(before + "\n<｜DSML｜invoke name='f'>\n") == DS4_ZONE_OUTSIDE);
    CHECK(zone_after(before + "\n<｜DSML｜invoke>\n") == DS4_ZONE_OUTSIDE);
    CHECK(zone_after(before + "\n</｜DSML｜tool_calls>\nwords") == DS4_ZONE_OUTSIDE);
    CHECK(zone_after(before + std::string(2000, '\n')) == DS4_ZONE_OUTSIDE);
    CHECK(zone_after(before + "\n<｜DSML｜invoke name=\"" + std::string(2000, 'f')) ==
          DS4_ZONE_OUTSIDE);
    CHECK(zone_after("\n<｜DSML｜function_calls>\n") == DS4_ZONE_OUTSIDE);
}

TEST("a block may open again after one that was none") {
    CHECK(is_greedy(kOpener + " is the tag. " + kOpener + "\n"));
    CHECK(is_greedy("You write `" + kOpener + "` and so on.\n" + kOpener + "\n"));
    CHECK(is_greedy("```\n" + kOpener + kInvoke + "x\n```\n" + kOpener + "\n"));
    CHECK(is_greedy(kOpener + "\n" + kOpener + "\n"));
    CHECK(!is_greedy("<tool_calls>\n<tool_calls>\n<invoke name=\"f\">"));
}

TEST("no zone opens behind a call of another spelling, in whose value the text may stand") {
    for (const char *const tag :
         {"<｜DSML｜invoke name='f'>", "<|DSML|invoke", "<｜DSML｜function_calls>", "</ dsml", "<¦",
          "\n<invoke name=\"f\">", "<function_calls>", "<｜DSML｜parameter name=\"p\">"})
        CHECK(!is_greedy(std::string(tag) + "\n" + kOpener + "\n"));
    for (const char *const text :
         {"a < b", "<b>", "<input>", "</p>", "a | b", "DSML", "<fun", "<→>"})
        CHECK(is_greedy(std::string(text) + "\n" + kOpener + "\n"));
    CHECK(!is_greedy(kOpener + kInvoke + "Hmm. " + kOpener + "\n"));
}

TEST("a value that is no JSON, or that never ends, is sampled") {
    const std::string value = kOpener + kInvoke + kJson;
    for (const char *const json :
         {"", "[1, 2", "{\"a\": [true, nu", "-1.5e", "[[{\"a\":{}}]", " \n "})
        CHECK(zone_after(value + json) == DS4_ZONE_JSON_STRUCTURAL);
    for (const char *const other : {"plain words", "[1 2", "{a", "{\"a\" 1", "[1}", "nul ", "1 2",
                                    "trues", "[,", "<b", "'x'"})
        CHECK(zone_after(value + other + " and") == DS4_ZONE_STRING_BODY);
    CHECK(zone_after(value + "0." + std::string(200, '3')) == DS4_ZONE_STRING_BODY);
    CHECK(zone_after(value + "[1," + std::string(400, ' ')) == DS4_ZONE_STRING_BODY);
    CHECK(zone_after(value + std::string(400, '[')) == DS4_ZONE_STRING_BODY);
    CHECK(zone_after(value + "[\"\\<\\\"") == DS4_ZONE_JSON_STRING);
    CHECK(zone_after(value + "[\"a</｜DSML｜parameter>\n") == DS4_ZONE_STRUCTURAL);
    CHECK(zone_after(value + "words</｜DSML｜parameter>\n") == DS4_ZONE_STRUCTURAL);
}

TEST("a value in which another tag of a block stands is left to the parser") {
    const std::string value = kOpener + kInvoke + kString + "x";
    for (const char *const tag :
         {"</｜DSML｜invoke>", "<｜DSML｜tool_calls>", "</|dsml|", "< ｜｜DSML"})
        CHECK(zone_after(value + tag + "y</") == DS4_ZONE_OUTSIDE);
    for (const char *const text : {"</invoke>", "<b>", "a <| b", "DSML", "<<", "</｜"})
        CHECK(zone_after(value + text + "y</｜DSML｜parameter>") == DS4_ZONE_STRUCTURAL);
    const std::string plain = "<tool_calls>\n<invoke name=\"f\">\n<parameter name=\"a\">";
    CHECK(zone_after(plain + "</b>x</") == DS4_ZONE_STRUCTURAL);
    CHECK(zone_after(plain + "</invoke>x</") == DS4_ZONE_OUTSIDE);
}

TEST("a block in Markdown code is a sample") {
    const std::string block = kOpener + "\n" + kInvoke;
    for (const char *const code : {"```\n", "Use it:\n\n```xml\n", "~~~\n", "- so:\n  ```\n  ",
                                   "> ```\n> ", "1. ````md\n```\n", "You write `", "``a ` "})
        CHECK(!is_greedy(code + block));
    for (const char *const text : {"```\na\n```\n", "`a` ", "~~~\n```\n~~~\n", "It costs 5`\n",
                                   "a ~~b~~ ", "```a``` and ", "``a` b`` "})
        CHECK(is_greedy(text + block));
}

TEST("only declared tools are called") {
    const std::vector<std::string> tools = {"find", "find_all"};
    CHECK(is_greedy(kOpener + "\n<｜DSML｜invoke name=\"fi", tools));
    CHECK(is_greedy(kOpener + "\n<｜DSML｜invoke name=\"find_all\">", tools));
    CHECK(!is_greedy(kOpener + "\n<｜DSML｜invoke name=\"fo", tools));
    CHECK(!is_greedy(kOpener + "\n<｜DSML｜invoke name=\"find_\">", tools));
    ZoneTracker zones(tools);
    const std::string text = kOpener + kInvoke + kString + "x" + kEnd;
    zones.feed({reinterpret_cast<const uint8_t *>(text.data()), text.size()});
    CHECK(zones.closed_blocks() == 0);
}

TEST("a block ends only after a call") {
    const auto closed = [](const std::string &text) {
        ZoneTracker zones;
        zones.feed({reinterpret_cast<const uint8_t *>(text.data()), text.size()});
        return zones.closed_blocks();
    };
    CHECK(closed(kOpener + kInvoke + kString + "x" + kEnd) == 1);
    CHECK(closed(kOpener + kInvoke + "</｜DSML｜tool_calls>") == 1);
    CHECK(closed(kOpener + "\n</｜DSML｜tool_calls>") == 0);
    CHECK(closed("```\n" + kOpener + kInvoke + kString + "x" + kEnd) == 0);
    CHECK(closed(kOpener + "\nno " + kInvoke + kString + "x" + kEnd) == 0);
}
