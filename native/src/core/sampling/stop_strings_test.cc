#include "core/sampling/stop_strings.h"

#include <random>
#include <string_view>

#include "base/test.h"

using namespace ds4;

static uint32_t feed(StopStrings &stops, std::string_view text) {
    return stops.feed({reinterpret_cast<const uint8_t *>(text.data()), text.size()});
}

TEST("a stop string is found across any number of feeds, with overlapping false starts") {
    StopStrings stops({"aab", "xyz"});
    CHECK(feed(stops, "a") == StopStrings::kNone);
    CHECK(feed(stops, "a") == StopStrings::kNone);
    CHECK(feed(stops, "a") == StopStrings::kNone);
    CHECK(feed(stops, "b") == 0);
    stops.restart();
    CHECK(feed(stops, "aaxy") == StopStrings::kNone);
    stops.restart();
    CHECK(feed(stops, "z") == StopStrings::kNone);
    CHECK(feed(stops, "..xyz..") == 1);
}

TEST("of two strings that end together the one that began earlier wins") {
    StopStrings stops({"lo", "hello"});
    CHECK(feed(stops, "hello") == 1);
}

TEST("stop strings agree with a plain search over random texts and random splits") {
    std::mt19937 random(5);
    size_t wrong = 0;
    for (int round = 0; round < 2000; round++) {
        std::string text, pattern;
        for (int i = 0; i < 40; i++) text += char('a' + random() % 2);
        for (size_t i = 0; i < 1 + random() % 6; i++) pattern += char('a' + random() % 2);
        StopStrings stops({pattern});
        size_t end = std::string::npos;
        for (size_t begin = 0; begin < text.size() && end == std::string::npos;) {
            const size_t count = std::min<size_t>(1 + random() % 5, text.size() - begin);
            for (size_t i = 0; i < count; i++) {
                if (feed(stops, std::string_view(text).substr(begin + i, 1)) !=
                    StopStrings::kNone) {
                    end = begin + i + 1;
                    break;
                }
            }
            begin += count;
        }
        const size_t found = text.find(pattern);
        wrong += end == (found == std::string::npos ? found : found + pattern.size()) ? 0 : 1;
    }
    CHECK(wrong == 0);
}
