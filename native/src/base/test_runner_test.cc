#include "base/test.h"

#include <exception>

namespace ds4::test {

static std::string escaped(const std::string &text) {
    std::string out;
    for (char c : text) {
        if (c == '&') out += "&amp;";
        else if (c == '<') out += "&lt;";
        else if (c == '>') out += "&gt;";
        else if (c == '"') out += "&quot;";
        else out += c;
    }
    return out;
}

int run_all(int argc, char **argv) {
    std::string body;
    size_t failed = 0;
    for (const Case &test : cases()) {
        failures().clear();
        try {
            test.body();
        } catch (const std::exception &error) {
            record(test.name, 0, std::string("threw: ") + error.what());
        }
        body += "<testcase name=\"" + escaped(test.name) + "\">";
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
    std::printf("%zu tests, %zu failed\n", cases().size(), failed);
    if (argc > 1) {
        std::FILE *report = std::fopen(argv[1], "w");
        if (report == nullptr) return 1;
        std::fprintf(report, "<testsuites tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"0\">\n<testsuite name=\"native\">\n%s</testsuite>\n</testsuites>\n",
                     cases().size(), failed, body.c_str());
        std::fclose(report);
    }
    return failed == 0 && !cases().empty() ? 0 : 1;
}

} // namespace ds4::test

int main(int argc, char **argv) { return ds4::test::run_all(argc, argv); }
