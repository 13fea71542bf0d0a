#include "kv/snapshot.h"

#include <cstring>
#include <vector>

#include "base/contains_for_tests.h"
#include "base/error.h"
#include "base/test.h"
#include "ds4.h"
#include "kv/memory_for_tests.h"
#include "kv/recent_rows.h"
#include "kv/snapshot_reader.h"

using namespace ds4;
using namespace ds4::test;

namespace {

constexpr CacheIdentity kIdentity{0x1234567890abcdefull, 0};

// A mark of n tokens whose rows have bytes that differ from place to place.
std::shared_ptr<const Mark> mark_of(const std::shared_ptr<PagePool> &pool, uint32_t n,
                                    int32_t first_token = 1) {
    PageTable table(pool);
    table.make_writable(0, n);
    uint32_t state = 7;
    const auto fill = [&](uint8_t *bytes, int64_t count) {
        for (int64_t i = 0; i < count; i++) {
            state = state * 1664525u + 1013904223u;
            bytes[i] = uint8_t(state >> 24);
        }
    };
    for (uint32_t i = 0; i < n; i++) {
        const int32_t token = i == 0 ? first_token : int32_t(i * 31 % 100);
        table.write_tokens(i, &token, 1);
    }
    for (int64_t p = 0; p < PageLayout::pages(n); p++) fill(table.page(p), pool->pages.bytes());
    CacheBlock recent(pool, recent_bytes(pool->layout, n));
    fill(recent.data(), int64_t(recent.bytes()));
    return std::make_shared<Mark>(pool, n, table.share(n), std::move(recent));
}

std::vector<uint8_t> snapshot_of(const Mark &mark) {
    std::vector<uint8_t> bytes(snapshot_bytes(mark.pool(), mark.position()));
    write_snapshot(mark, bytes.data());
    return bytes;
}

std::shared_ptr<const Mark> read(const std::shared_ptr<PagePool> &pool,
                                 std::span<const uint8_t> bytes, size_t cut = SIZE_MAX,
                                 uint32_t max_tokens = 1 << 20) {
    SnapshotReader reader(pool, max_tokens);
    while (!bytes.empty()) {
        const size_t part = std::min(cut, bytes.size());
        reader.write(bytes.first(part));
        bytes = bytes.subspan(part);
    }
    return reader.finish();
}

// The message of a refusal with this status; empty if the bytes were taken.
std::string refusal(ds4_status status, const std::shared_ptr<PagePool> &pool,
                    std::span<const uint8_t> bytes, uint32_t max_tokens = 1 << 20) {
    try {
        read(pool, bytes, SIZE_MAX, max_tokens);
    } catch (const Error &error) {
        CHECK(error.status() == status);
        return error.what();
    }
    return "";
}

} // namespace

TEST("the recent rows of a layer are those that its next tokens need, and no others") {
    const Shape shape = cache_shape();
    const CacheLayout layout = packed_layout(shape);
    const RecentSections window = recent_sections(layout, shape.layer[0], 10);
    CHECK(window.count == 1 && window.section[0].first == 2 && window.section[0].count == 8 &&
          window.section[0].row_bytes == 584);
    const RecentSections indexed = recent_sections(layout, shape.layer[1], 10);
    CHECK(indexed.count == 5);
    // Ten tokens: the third window of four is open, and the second one overlaps it.
    CHECK(indexed.section[1].first == 4 && indexed.section[1].count == 6 &&
          indexed.section[1].row_bytes == 2 * 512 * 4);
    CHECK(indexed.section[3].first == 4 && indexed.section[4].row_bytes == 2 * 128 * 4);
    const RecentSections wide = recent_sections(layout, shape.layer[2], 130);
    CHECK(wide.count == 3 && wide.section[2].first == 128 && wide.section[2].count == 2 &&
          wide.section[2].row_bytes == 512 * 4);
    CHECK(recent_bytes(layout, 0) == 0);
    CHECK(recent_bytes(layout, 1) ==
          3 * 584 + 2 * (2 * 512 * 4) + 2 * (2 * 128 * 4) + 2 * (512 * 4));
}

TEST("snapshots of DeepSeek V4 Flash and Pro have the documented sizes") {
    const auto bytes_of = [](int layers, int first_ratio, uint32_t n) {
        Shape shape = cache_shape();
        shape.layers = layers, shape.sliding_window = 128;
        shape.layer.clear();
        for (int l = 0; l < layers; l++)
            shape.layer.push_back({l < 2 ? first_ratio : l % 2 == 0 ? 4 : 128, 0, 0, false});
        CountingMemory::Counts counts;
        return snapshot_bytes(*counting_pages(packed_layout(shape), counts), n);
    };
    // The rows of the format before it, 8 bytes more of header and 8 for each region's checksum.
    CHECK(bytes_of(43, 0, 0) == 56);
    CHECK(bytes_of(43, 0, 1) == 322'116 + 8 + 2 * 8);
    CHECK(bytes_of(43, 0, 1000) == 16'102'976 + 8 + 2 * 8);
    CHECK(bytes_of(43, 0, 32768) == 119'360'552 + 8 + 17 * 8);
    CHECK(bytes_of(61, 128, 1) == 469'844 + 8 + 2 * 8);
    CHECK(bytes_of(61, 128, 1048576) == 5'285'827'624 + 8 + 513 * 8);
}

TEST("a snapshot that is read back, in pieces of any size, gives the bytes that it had") {
    CountingMemory::Counts counts;
    {
        const std::shared_ptr<PagePool> pool =
            counting_pages(packed_layout(cache_shape()), counts, kIdentity);
        for (const uint32_t n : {0u, 1u, 127u, 128u, 2047u, 2048u, 2049u, 4100u}) {
            const std::vector<uint8_t> bytes = snapshot_of(*mark_of(pool, n));
            for (const size_t cut : {size_t(997), size_t(48), size_t(1) << 20, SIZE_MAX}) {
                const std::shared_ptr<const Mark> back = read(pool, bytes, cut);
                CHECK(back->position() == n && snapshot_of(*back) == bytes);
            }
        }
    }
    CHECK(counts.blocks == 0);
}

TEST("whole pages have the same bytes in every snapshot of the same beginning") {
    CountingMemory::Counts counts;
    const auto pool = counting_pages(packed_layout(cache_shape()), counts, kIdentity);
    const std::shared_ptr<const Mark> longer = mark_of(pool, 5000);
    const Mark shorter(pool, 4097, PageRefs(longer->pages()),
                       CacheBlock(pool, recent_bytes(pool->layout, 4097)));
    for (const uint32_t region : {1u, 2u}) {
        const uint64_t bytes = snapshot_region_bytes(*pool, 5000, region);
        std::vector<uint8_t> a(bytes), b(snapshot_region_bytes(*pool, 4097, region));
        write_snapshot_region(*longer, region, a.data());
        write_snapshot_region(shorter, region, b.data());
        CHECK(a == b && bytes == uint64_t(2048 * 4 + 512 * (584 + 68) + 16 * 584 + 8));
    }
}

TEST("a snapshot is refused by another model, other numerics, another format and less room") {
    CountingMemory::Counts counts;
    const CacheLayout layout = packed_layout(cache_shape());
    const auto pool = counting_pages(layout, counts, kIdentity);
    std::vector<uint8_t> bytes = snapshot_of(*mark_of(pool, 2100));
    CHECK(refusal(DS4_OK, pool, bytes).empty());
    const auto model = counting_pages(layout, counts, {kIdentity.model + 1, 0});
    CHECK(contains(refusal(DS4_ERR_FORMAT, model, bytes), "made by another model"));
    const auto fast =
        counting_pages(layout, counts, {kIdentity.model, CacheIdentity::kReducedActivations});
    const std::string text = refusal(DS4_ERR_FORMAT, fast, bytes);
    CHECK(contains(text, "full activations; this engine") && contains(text, "reduced activations"));
    CHECK(contains(refusal(DS4_ERR_CONTEXT_FULL, pool, bytes, 2099), "2100 tokens"));
    CHECK(contains(refusal(DS4_ERR_FORMAT, pool, {}), "ends after 0 bytes of 48"));
    counts.available = 4 << 20;
    CHECK(contains(refusal(DS4_ERR_DEVICE_MEMORY, pool, bytes), "2100 tokens needs"));
    counts.available = UINT64_MAX;
    bytes[7] = 1;
    CHECK(contains(refusal(DS4_ERR_FORMAT, pool, bytes), "format 1, and this library reads"));
    bytes[0] = 'X';
    CHECK(contains(refusal(DS4_ERR_FORMAT, pool, bytes), "does not begin with DS4SEQ"));
}

TEST("damage is found in the region where it lies, and the regions before it were whole") {
    CountingMemory::Counts counts;
    const auto pool = counting_pages(packed_layout(cache_shape()), counts, kIdentity);
    const std::vector<uint8_t> bytes = snapshot_of(*mark_of(pool, 4100));
    uint64_t begin = 0;
    for (uint32_t region = 0; region < 5; region++) {
        const uint64_t size = snapshot_region_bytes(*pool, 4100, region);
        for (const uint64_t at : {begin, begin + size / 2, begin + size - 1}) {
            std::vector<uint8_t> damaged = bytes;
            damaged[at] ^= 0x10;
            const std::string text = refusal(DS4_ERR_FORMAT, pool, damaged);
            CHECK(region == 0 ? !text.empty()
                              : contains(text, ("region " + std::to_string(region)).c_str()));
        }
        begin += size;
    }
    // Two pages in each other's place have the right bytes and the wrong number.
    std::vector<uint8_t> swapped = bytes;
    const uint64_t page = snapshot_region_bytes(*pool, 4100, 1);
    std::swap_ranges(swapped.begin() + 48, swapped.begin() + 48 + long(page),
                     swapped.begin() + 48 + long(page));
    CHECK(contains(refusal(DS4_ERR_FORMAT, pool, swapped), "region 1"));
    std::vector<uint8_t> longer = bytes;
    longer.push_back(0);
    CHECK(contains(refusal(DS4_ERR_FORMAT, pool, longer), "bytes follow the snapshot"));
    for (const size_t count : {size_t(47), size_t(48), bytes.size() - 1})
        CHECK(contains(refusal(DS4_ERR_FORMAT, pool, std::span(bytes).first(count)), "ends after"));
}

TEST("every token id of a snapshot is checked against the vocabulary") {
    CountingMemory::Counts counts;
    const auto pool = counting_pages(packed_layout(cache_shape()), counts, kIdentity);
    for (const int32_t token : {-1, 100, 1 << 30}) {
        const std::string text =
            refusal(DS4_ERR_FORMAT, pool, snapshot_of(*mark_of(pool, 2100, token)));
        CHECK(contains(text, ("token id " + std::to_string(token) + " at position 0").c_str()));
    }
    CHECK(refusal(DS4_OK, pool, snapshot_of(*mark_of(pool, 2100, 99))).empty());
}

TEST("a reader that has refused takes nothing more, and a failed allocation loses nothing") {
    CountingMemory::Counts counts;
    const auto pool = counting_pages(packed_layout(cache_shape()), counts, kIdentity);
    const std::vector<uint8_t> bytes = snapshot_of(*mark_of(pool, 4100));
    for (int64_t allowed = 0; allowed < 4; allowed++) {
        counts.until_failure = allowed;
        bool failed = false;
        try {
            read(pool, bytes);
        } catch (const std::bad_alloc &) {
            failed = true;
        }
        counts.until_failure = -1;
        CHECK(failed && counts.blocks == 0);
    }
    SnapshotReader reader(pool, 4100);
    const auto throws = [](const auto &call) {
        try {
            call();
        } catch (const Error &) {
            return true;
        }
        return false;
    };
    CHECK(throws([&] { reader.write(std::vector<uint8_t>(48, 3)); }));
    CHECK(throws([&] { reader.write(bytes); }));
    CHECK(throws([&] { reader.finish(); }));
}
