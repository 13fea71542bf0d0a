#include "core/sampling/zone_tracker.h"

#include <string_view>

#include "base/test.h"
#include "ds4.h"

using namespace ds4;

static uint32_t zone_after(std::string_view text) {
    ZoneTracker zones;
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
    CHECK(zone_after("<tool_calls><parameter name=\"a>b\" string=\"false\">") ==
          DS4_ZONE_JSON_STRUCTURAL);
    CHECK(zone_after("<tool_calls><parameter name=\"a\" string=\"true\">x</p</parameter>") ==
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
