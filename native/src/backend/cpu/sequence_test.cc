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
