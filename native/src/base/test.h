// A minimal test registry: TEST("sentence") { CHECK(...); }. The runner takes [REPORT.xml] [--only
// TEXT] [--times]. It writes a JUnit report, runs the tests whose sentence contains the text, and
// prints each one's time.
// It prints one line per failure. Exit status: 0 all passed, 1 a check failed or there was no test,
// 3 no sentence contains the text.
#pragma once
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

namespace ds4::test {

// Sanitizers slow tests down tenfold and more. Tests that repeat work only for its numbers may do
// less of it there. Tests of threads stay whole.
#if defined(__SANITIZE_THREAD__)
constexpr bool kThreadSanitizer = true, kSanitizer = true;
#elif defined(__SANITIZE_ADDRESS__)
constexpr bool kThreadSanitizer = false, kSanitizer = true;
#else
constexpr bool kThreadSanitizer = false, kSanitizer = false;
#endif

struct Case {
    const char *name;
    void (*body)();
};
inline std::vector<Case> &cases() {
    static std::vector<Case> all;
    return all;
}
inline std::vector<std::string> &failures() {
    static std::vector<std::string> all;
    return all;
}
struct Register {
    Register(const char *name, void (*body)()) { cases().push_back({name, body}); }
};

inline void record(const char *file, int line, const std::string &text) {
    failures().push_back(std::string(file) + ":" + std::to_string(line) + ": " + text);
}

#define DS4_TEST_JOIN2(a, b) a##b
#define DS4_TEST_JOIN(a, b) DS4_TEST_JOIN2(a, b)
#define TEST(sentence)                                                                             \
    static void DS4_TEST_JOIN(test_body_, __LINE__)();                                             \
    static ds4::test::Register DS4_TEST_JOIN(test_register_, __LINE__)(                            \
        sentence, DS4_TEST_JOIN(test_body_, __LINE__));                                            \
    static void DS4_TEST_JOIN(test_body_, __LINE__)()
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) ds4::test::record(__FILE__, __LINE__, "not true: " #condition);          \
    } while (0)
#define CHECK_CLOSE(actual, expected, tolerance)                                                   \
    do {                                                                                           \
        const double actual_ = (actual), expected_ = (expected);                                   \
        if (!(std::fabs(actual_ - expected_) <= (tolerance)))                                      \
            ds4::test::record(__FILE__, __LINE__,                                                  \
                              std::string(#actual " is ") + std::to_string(actual_) +              \
                                  ", expected " + std::to_string(expected_));                      \
    } while (0)

int run_all(int argc, char **argv);

} // namespace ds4::test
