#include "backend/cpu/sequence.h"

#include "base/contains_for_tests.h"
#include "base/error.h"
#include "base/test.h"
#include "ds4.h"
#include "kv/layout_for_tests.h"

using namespace ds4;
using namespace ds4::cpu;
using namespace ds4::test;

TEST("a sequence that would outgrow the memory is refused, and goes on when there is room") {
    const Shape shape = cache_shape();
    Sequence sequence(packed_layout(shape), 1 << 20);
    const uint64_t before = sequence.bytes();
    std::string text;
    try {
        sequence.reserve(1 << 20, [] { return uint64_t(64) << 20; });
    } catch (const Error &error) {
        CHECK(error.status() == DS4_ERR_DEVICE_MEMORY);
        text = error.what();
    }
    CHECK(contains(text, "1048576 tokens needs") &&
          contains(text, "64 MiB of memory are available"));
    CHECK(sequence.bytes() == before && sequence.position() == 0);
    sequence.reserve(1 << 20, [] { return uint64_t(1) << 40; });
    int asked = 0; // rows that are there already need no memory
    sequence.reserve(1 << 20, [&] {
        asked++;
        return uint64_t(0);
    });
    CHECK(asked == 0);
}
