#include "experts/expert_library.h"

#include <string>

#include "base/error.h"
#include "base/contains_for_tests.h"
#include "base/test.h"
#include "experts/layers_for_tests.h"

using namespace ds4;
using namespace ds4::test;

namespace {

std::string library_error(const std::string &path) {
    try {
        const ExpertLibrary library(path);
        return "opened";
    } catch (const Error &error) {
        return error.what();
    }
}

} // namespace

TEST("the library beside this program opens; others are refused with what is wrong") {
    const ExpertLibrary library("");
    CHECK(library.has_extension() && contains(library.path(), "libkt_bridge.so"));
    CHECK(library.functions().engine_create_json("[]") == nullptr);
    CHECK(!library.last_error("none").empty() && library.last_error("none") != "none");
    CHECK(contains(library_error("/nowhere/libkt_bridge.so"), "cannot be loaded"));
    CHECK(contains(library_error("libm.so.6"), "it lacks ktb_engine_create, ktb_engine_destroy"));
}
