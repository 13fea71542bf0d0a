#include "kv/page_layout.h"

#include "base/test.h"
#include "kv/layout_for_tests.h"
#include "kv/page_pool.h"

using namespace ds4;
using namespace ds4::test;

TEST("a page holds the entries and index rows of 2048 tokens of every layer, each in its place") {
    const PageLayout pages(packed_layout(cache_shape()));
    const PageLayout::Layer &window = pages.layer(0), &four = pages.layer(1),
                            &wide = pages.layer(2);
    CHECK(window.compressed.rows() == 0 && window.index.rows() == 0);
    CHECK(four.compressed.rows() == 512 && four.compressed.row_bytes == 584 &&
          four.compressed.offset == 0);
    CHECK(four.index.rows() == 512 && four.index.row_bytes == 68 && four.index.offset == 512 * 584);
    CHECK(wide.compressed.rows() == 16 && wide.compressed.offset == 512 * (584 + 68));
    CHECK(wide.index.rows() == 0);
    CHECK(pages.bytes() == 512 * (584 + 68) + 16 * 584);
    CHECK(PageLayout::pages(0) == 0 && PageLayout::pages(2048) == 1 &&
          PageLayout::pages(2049) == 2);
}

TEST("the filled parts of a page are the rows of its closed windows") {
    const PageLayout pages(packed_layout(cache_shape()));
    const auto filled = [&](int64_t tokens) {
        std::vector<std::pair<int64_t, int64_t>> parts;
        pages.each_filled(
            tokens, [&](int64_t offset, int64_t bytes) { parts.emplace_back(offset, bytes); });
        return parts;
    };
    using Parts = std::vector<std::pair<int64_t, int64_t>>;
    CHECK(filled(3).empty());
    CHECK((filled(127) == Parts{{0, 31 * 584}, {512 * 584, 31 * 68}}));
    CHECK((filled(128) == Parts{{0, 32 * 584}, {512 * 584, 32 * 68}, {512 * 652, 584}}));
    CHECK((filled(2048) == Parts{{0, 512 * 584}, {512 * 584, 512 * 68}, {512 * 652, 16 * 584}}));
}

// By hand: 128 window rows in every layer, and for each compressed layer values and scores.
TEST("the memory account of a sequence counts its rings, entries, index rows and token ids") {
    Shape flash = cache_shape();
    flash.layers = 43, flash.sliding_window = 128;
    flash.layer.clear();
    for (int l = 0; l < 43; l++)
        flash.layer.push_back({l < 2 ? 0 : l % 2 == 0 ? 4 : 128, 0, 0, false});
    const CacheLayout layout = packed_layout(flash);
    const uint64_t rings = 43 * 128 * 584 + 21 * (2 * 8 * (4096 + 1024)) + 20 * 2 * 128 * 2048;
    const uint64_t page = 21 * 512 * (584 + 68) + 20 * 16 * 584;
    CHECK(layout.ring_bytes() == rings);
    const uint64_t overhead = sizeof(Page);
    CHECK(overhead >= 2048 * 4 && overhead <= 2048 * 4 + 64);
    CHECK(layout.sequence_bytes(0) == rings);
    CHECK(layout.sequence_bytes(1) == rings + page + overhead);
    CHECK(layout.sequence_bytes(32768) == rings + 16 * (page + overhead));
}
