#include "backend/cpu/sequence.h"

#include "base/contains_for_tests.h"
#include "base/error.h"
#include "base/test.h"
#include "ds4.h"

using namespace ds4;
using namespace ds4::cpu;
using namespace ds4::test;

namespace {

Shape small_shape() {
    Shape shape{};
    shape.layers = 3, shape.vocab = 100, shape.sliding_window = 8, shape.head_dim = 512;
    shape.rope_dim = 64, shape.index_head_dim = 128;
    shape.layer = {{0, 0, 0, false}, {4, 0, 0, false}, {128, 0, 0, false}};
    return shape;
}

} // namespace

TEST("a sequence that would outgrow the memory is refused, and goes on when there is room") {
    const Shape shape = small_shape();
    Sequence sequence({shape, {512, 64, RowStorage::packed}, {128, RowStorage::packed}}, 1 << 20);
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
