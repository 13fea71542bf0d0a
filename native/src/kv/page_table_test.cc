#include "kv/page_table.h"

#include <cstring>
#include <map>
#include <vector>

#include "base/test.h"
#include "kv/memory_for_tests.h"

using namespace ds4;
using namespace ds4::test;

namespace {

// A table whose rows are written as a sequence would write them: those of every window that closes.
// The bytes of a row follow from its kind, its index and the stream that wrote it.
class Writer {
  public:
    explicit Writer(const std::shared_ptr<PagePool> &pool)
        : table(pool), rows_{{table, pool->pages.layer(1).compressed},
                             {table, pool->pages.layer(1).index},
                             {table, pool->pages.layer(2).compressed}} {}

    void advance(int64_t count, int stream) {
        table.make_writable(position, position + count);
        for (int64_t p = position; p < position + count; p++) {
            const int32_t token = int32_t(p * 31 + stream);
            table.write_tokens(p, &token, 1);
            expected_[p] = token;
            for (int kind = 0; kind < 3; kind++)
                if ((p + 1) % kRatios[kind] == 0)
                    std::memset(rows_[kind].row(p / kRatios[kind]), filling(kind, p, stream),
                                size_t(rows_[kind].row_bytes()));
        }
        position += count;
    }
    // Every row and id of the positions so far is the one that was written last.
    bool is_whole() const {
        for (int64_t p = 0; p < position; p++) {
            const int32_t token = expected_.at(p);
            if (table.token(p) != token) return false;
            for (int kind = 0; kind < 3; kind++) {
                if ((p + 1) % kRatios[kind] != 0) continue;
                const uint8_t *row = rows_[kind].row(p / kRatios[kind]);
                const uint8_t value = filling(kind, p, token - int32_t(p * 31));
                for (int64_t i = 0; i < rows_[kind].row_bytes(); i++)
                    if (row[i] != value) return false;
            }
        }
        return true;
    }
    void assume(const PageRefs &pages, const Writer &from, int64_t at) {
        table.assume(pages);
        position = at, expected_ = from.expected_;
    }

    PageTable table;
    int64_t position = 0;

  private:
    static constexpr int kRatios[3] = {4, 4, 128};
    static uint8_t filling(int kind, int64_t p, int stream) {
        return uint8_t(p / 4 * 7 + p / 2048 * 29 + kind * 61 + stream * 17);
    }
    PagedRows rows_[3];
    std::map<int64_t, int32_t> expected_;
};

} // namespace

TEST("rows far apart never share their bytes, in any number of pages") {
    CountingMemory::Counts counts;
    Writer writer(counting_pages(packed_layout(cache_shape()), counts));
    for (const int64_t count : {1, 2046, 2, 2047, 4096, 6000, 7}) writer.advance(count, 3);
    CHECK(writer.is_whole());
    CHECK(counts.blocks == PageLayout::pages(writer.position));
    writer.table.clear();
    CHECK(counts.blocks == 0 && counts.bytes == 0);
}

TEST("whole pages are shared, and only who does not own the last one copies it") {
    CountingMemory::Counts counts;
    const std::shared_ptr<PagePool> pool = counting_pages(packed_layout(cache_shape()), counts);
    for (const int64_t at : {1, 3, 4, 127, 128, 2047, 2048, 2049, 4100}) {
        Writer first(pool), second(pool), third(pool);
        first.advance(at, 1);
        const PageRefs held = first.table.share(at);
        CHECK(int64_t(held.size()) == PageLayout::pages(at));
        second.assume(held, first, at), third.assume(held, first, at);
        CHECK(counts.blocks == PageLayout::pages(at));
        // The table that wrote the page goes on in it.
        const uint64_t page = pool->page_bytes();
        const bool partial = at % 2048 != 0;
        CHECK(first.table.missing_bytes(at, at + 1) == (partial ? 0 : page));
        CHECK(second.table.missing_bytes(at, at + 1) == page);
        first.advance(300, 1), second.advance(300, 2), third.advance(300, 5);
        CHECK(first.is_whole() && second.is_whole() && third.is_whole());
        // The pages that all three have in common exist once.
        CHECK(counts.blocks == at / 2048 + 3 * (PageLayout::pages(at + 300) - at / 2048));
        Writer late(pool); // from the mark, after everybody has gone on
        late.assume(held, first, at);
        CHECK(late.is_whole());
    }
    CHECK(counts.blocks == 0);
}

TEST("a table that goes back does not overwrite what later marks hold") {
    CountingMemory::Counts counts;
    const std::shared_ptr<PagePool> pool = counting_pages(packed_layout(cache_shape()), counts);
    Writer writer(pool);
    writer.advance(100, 1);
    const PageRefs early = writer.table.share(100);
    writer.advance(200, 1);
    const PageRefs late = writer.table.share(300);
    Writer witness(pool);
    witness.assume(late, writer, 300);
    for (const int stream : {2, 4, 6}) { // each time into the page of the first mark
        writer.table.assume(early), writer.position = 100;
        writer.advance(1500, stream);
        CHECK(writer.is_whole() && witness.is_whole());
        const PageRefs again = writer.table.share(900);
        CHECK(again.size() == 1);
    }
    writer.table.clear(), writer.position = 0;
    writer.advance(50, 7);
    writer.table.assume(early), writer.position = 100;
    writer.advance(100, 8);
    CHECK(witness.is_whole());
}

TEST("an allocation that fails leaves the rows of a table as they were") {
    CountingMemory::Counts counts;
    const std::shared_ptr<PagePool> pool = counting_pages(packed_layout(cache_shape()), counts);
    Writer first(pool), second(pool);
    first.advance(3000, 1);
    second.assume(first.table.share(3000), first, 3000);
    for (int64_t allowed = 0; allowed < 3; allowed++) {
        counts.until_failure = allowed;
        bool failed = false;
        try {
            second.table.make_writable(3000, 7000); // a copy and two pages
        } catch (const std::bad_alloc &) {
            failed = true;
        }
        CHECK(failed && second.is_whole() && first.is_whole() && counts.blocks == 2);
    }
    counts.until_failure = -1;
    second.advance(4000, 2), first.advance(4000, 1);
    CHECK(second.is_whole() && first.is_whole());
}
