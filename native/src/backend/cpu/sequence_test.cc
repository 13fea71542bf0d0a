#include "backend/cpu/sequence.h"

#include "base/contains_for_tests.h"
#include "base/error.h"
#include "base/test.h"
#include "ds4.h"
#include "kv/memory_for_tests.h"

using namespace ds4;
using namespace ds4::cpu;
using namespace ds4::test;

TEST("a sequence that would outgrow the memory is refused, and goes on when there is room") {
    CountingMemory::Counts counts;
    Sequence sequence(counting_pages(packed_layout(cache_shape()), counts), 1 << 20);
    const uint64_t before = sequence.bytes();
    counts.available = uint64_t(64) << 20;
    std::string text;
    try {
        sequence.reserve(1 << 20);
    } catch (const Error &error) {
        CHECK(error.status() == DS4_ERR_DEVICE_MEMORY);
        text = error.what();
    }
    CHECK(contains(text, "1048576 tokens needs") &&
          contains(text, "64 MiB of memory are available"));
    CHECK(sequence.bytes() == before && sequence.position() == 0 && counts.blocks == 0);
    counts.available = uint64_t(1) << 40;
    sequence.reserve(1 << 20);
    CHECK(counts.blocks == 512);
    counts.available = 0; // pages that are there already need no memory
    sequence.reserve(1 << 20);
}

TEST("the bytes of a sequence are its rings and whole pages") {
    CountingMemory::Counts counts;
    const std::shared_ptr<PagePool> pool = counting_pages(packed_layout(cache_shape()), counts);
    Sequence sequence(pool, 8192);
    const uint64_t rings = 3 * 8 * 584 + 2 * 8 * (4096 + 1024) + 2 * 128 * 2048;
    CHECK(sequence.bytes() == rings && rings == pool->layout.ring_bytes());
    uint64_t pages = 0;
    for (const uint32_t step : {1u, 2047u, 1u, 4000u}) {
        const std::vector<int32_t> tokens(step, 1);
        sequence.reserve(step);
        sequence.commit(tokens.data(), step);
        pages = (sequence.position() + 2047) / 2048;
        CHECK(sequence.bytes() == rings + pages * pool->page_bytes());
        CHECK(sequence.bytes() == pool->layout.sequence_bytes(sequence.position()));
        CHECK(counts.bytes == int64_t(pages) * pool->pages.bytes());
    }
    sequence.reset();
    CHECK(sequence.bytes() == rings && counts.bytes == 0);
}

TEST("a failed allocation leaves a sequence as it was, when marked, resumed or written to") {
    CountingMemory::Counts counts;
    const std::shared_ptr<PagePool> pool = counting_pages(packed_layout(cache_shape()), counts);
    const auto advance = [](Sequence &sequence, uint32_t count) {
        const std::vector<int32_t> tokens(count, int32_t(count % 100));
        sequence.reserve(count);
        sequence.commit(tokens.data(), count);
    };
    const auto fails = [&](const auto &call) {
        counts.until_failure = 0;
        bool failed = false;
        try {
            call();
        } catch (const std::bad_alloc &) {
            failed = true;
        }
        counts.until_failure = -1;
        return failed;
    };
    Sequence first(pool, 8192), second(pool, 8192);
    advance(first, 3000), advance(second, 5);
    CHECK(fails([&] { first.mark(); }) && first.position() == 3000);
    const std::shared_ptr<const Mark> mark = first.mark(), other = second.mark();
    second.resume(*mark);
    CHECK(second.position() == 3000 && counts.blocks == 2 + 1 + 2);
    CHECK(fails([&] { second.reserve(1); }) && second.position() == 3000);
    advance(second, 1); // has a copy of the last page now
    CHECK(first.position() == 3000 && second.position() == 3001);
    const auto refused = [](const auto &call) {
        try {
            call();
        } catch (const Error &) {
            return true;
        }
        return false;
    };
    Sequence small(pool, 2999),
        stranger(counting_pages(packed_layout(cache_shape()), counts), 8192);
    CHECK(refused([&] { small.resume(*mark); }) && small.position() == 0);
    CHECK(refused([&] { stranger.resume(*mark); }) && stranger.position() == 0);
    CHECK(refused([&] { first.cut(*other); }) && first.position() == 3000);
    second.cut(*mark);
    CHECK(second.position() == 3000);
}
