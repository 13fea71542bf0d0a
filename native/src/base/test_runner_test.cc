#include "base/test.h"

#include <chrono>
#include <cstring>
#include <exception>

namespace ds4::test {
namespace {

struct Arguments {
    const char *report = nullptr; // where the JUnit report goes
    const char *only = nullptr;   // part of the sentences of the tests to run
    bool times = false;           // a line per test, begun before it runs
    size_t shard = 1, shards = 1; // test number `shard` of each `shards` that --only leaves
};

std::string escaped(const std::string &text) {
    std::string out;
    for (char c : text) {
        if (c == '&')
            out += "&amp;";
        else if (c == '<')
            out += "&lt;";
        else if (c == '>')
            out += "&gt;";
        else if (c == '"')
            out += "&quot;";
        else
            out += c;
    }
    return out;
}

bool read_shard(const char *text, Arguments &out) {
    char rest = 0;
    return std::sscanf(text, "%zu/%zu%c", &out.shard, &out.shards, &rest) == 2 && out.shard >= 1 &&
           out.shard <= out.shards;
}

bool read_arguments(int argc, char **argv, Arguments &out) {
    for (int i = 1; i < argc; i++) {
        const bool has_value = i + 1 < argc;
        if (std::strcmp(argv[i], "--times") == 0)
            out.times = true;
        else if (std::strcmp(argv[i], "--only") == 0 && has_value)
            out.only = argv[++i];
        else if (std::strcmp(argv[i], "--shard") == 0 && has_value) {
            if (!read_shard(argv[++i], out)) return false;
        } else if (argv[i][0] != '-' && out.report == nullptr)
            out.report = argv[i];
        else
            return false;
    }
    return true;
}

void run(const Case &test) {
    failures().clear();
    try {
        test.body();
    } catch (const std::exception &error) {
        record(test.name, 0, std::string("threw: ") + error.what());
    }
}

} // namespace

int run_all(int argc, char **argv) {
    Arguments arguments;
    if (!read_arguments(argc, argv, arguments)) {
        std::fprintf(stderr, "usage: %s [REPORT.xml] [--only TEXT] [--shard I/N] [--times]\n",
                     argv[0]);
        return 2;
    }
    std::string body;
    size_t ran = 0, failed = 0, met = 0;
    for (const Case &test : cases()) {
        if (arguments.only != nullptr && std::strstr(test.name, arguments.only) == nullptr)
            continue;
        if (met++ % arguments.shards != arguments.shard - 1) continue;
        ran++;
        if (arguments.times) std::printf("%s ... ", test.name), std::fflush(stdout);
        const auto begin = std::chrono::steady_clock::now();
        run(test);
        const double seconds =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        if (arguments.times) std::printf("%.2f s\n", seconds);
        char time[32];
        std::snprintf(time, sizeof time, "%.3f", seconds);
        body += "<testcase name=\"" + escaped(test.name) + "\" time=\"" + time + "\">";
        if (!failures().empty()) {
            failed++;
            std::printf("FAILED %s\n", test.name);
            for (const std::string &text : failures()) {
                std::printf("    %s\n", text.c_str());
                body += "<failure message=\"" + escaped(text) + "\"/>";
            }
        }
        body += "</testcase>\n";
    }
    std::printf("%zu tests, %zu failed\n", ran, failed);
    if (arguments.report != nullptr) {
        std::FILE *report = std::fopen(arguments.report, "w");
        if (report == nullptr) return 1;
        std::fprintf(report,
                     "<testsuites tests=\"%zu\" failures=\"%zu\" errors=\"0\" "
                     "skipped=\"0\">\n<testsuite name=\"native\">\n%s</testsuite>\n</testsuites>\n",
                     ran, failed, body.c_str());
        std::fclose(report);
    }
    if (ran == 0 && (arguments.only != nullptr || arguments.shards > 1)) return 3;
    return failed == 0 && ran != 0 ? 0 : 1;
}

} // namespace ds4::test

int main(int argc, char **argv) { return ds4::test::run_all(argc, argv); }
