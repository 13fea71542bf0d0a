#include "kv/snapshot.h"

#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/test.h"
#include "ds4.h"
#include "kv/layout_for_tests.h"

using namespace ds4;
using namespace ds4::test;

namespace {

std::vector<uint8_t> snapshot_of(const CacheLayout &layout, const std::vector<int32_t> &tokens) {
    std::vector<uint8_t> out(snapshot_bytes(layout, uint32_t(tokens.size())));
    const uint8_t *rows = write_snapshot_tokens(tokens, out.data());
    CHECK(rows == out.data() + 40 + tokens.size() * 4);
    write_snapshot_header(layout, uint32_t(tokens.size()), out.data());
    return out;
}

ds4_status status_of(const CacheLayout &layout, uint32_t capacity, std::span<const uint8_t> bytes) {
    try {
        read_snapshot(layout, capacity, bytes);
        return DS4_OK;
    } catch (const Error &error) {
        return error.status();
    }
}

} // namespace

TEST("a snapshot has the rows that its number of tokens needs, and no others") {
    const Shape shape = cache_shape();
    const CacheLayout layout = packed_layout(shape);
    const SnapshotSections window = snapshot_sections(layout, shape.layer[0], 10);
    CHECK(window.count == 1 && window.section[0].first == 2 && window.section[0].count == 8 &&
          window.section[0].row_bytes == 584);
    const SnapshotSections indexed = snapshot_sections(layout, shape.layer[1], 10);
    CHECK(indexed.count == 7);
    CHECK(indexed.section[1].rows == CacheRows::compressed && indexed.section[1].count == 2);
    // Ten tokens: the third window of four is open, and the second one overlaps it.
    CHECK(indexed.section[2].first == 4 && indexed.section[2].count == 6 &&
          indexed.section[2].row_bytes == 2 * 512 * 4);
    CHECK(indexed.section[4].rows == CacheRows::index && indexed.section[4].row_bytes == 68);
    CHECK(indexed.section[6].row_bytes == 2 * 128 * 4);
    const SnapshotSections long_window = snapshot_sections(layout, shape.layer[2], 130);
    CHECK(long_window.count == 4 && long_window.section[1].count == 1);
    CHECK(long_window.section[3].first == 128 && long_window.section[3].count == 2 &&
          long_window.section[3].row_bytes == 512 * 4);
    CHECK(snapshot_bytes(layout, 0) == 40);
    CHECK(snapshot_bytes(layout, 1) ==
          40 + 4 + 3 * 584 + 2 * (2 * 512 * 4) + 2 * (2 * 128 * 4) + 2 * (512 * 4));
}

TEST("snapshots of DeepSeek V4 Flash and Pro have the documented sizes") {
    const auto model = [](int layers, int first_ratio) {
        Shape shape = cache_shape();
        shape.layers = layers, shape.sliding_window = 128;
        shape.layer.clear();
        for (int l = 0; l < layers; l++)
            shape.layer.push_back({l < 2 ? first_ratio : l % 2 == 0 ? 4 : 128, 0, 0, false});
        return shape;
    };
    const Shape flash = model(43, 0), pro = model(61, 128);
    CHECK(snapshot_bytes(packed_layout(flash), 1) == 322'116);
    CHECK(snapshot_bytes(packed_layout(flash), 1000) == 16'102'976);
    CHECK(snapshot_bytes(packed_layout(flash), 32768) == 119'360'552);
    CHECK(snapshot_bytes(packed_layout(pro), 1) == 469'844);
    CHECK(snapshot_bytes(packed_layout(pro), 1000) == 24'014'944);
    CHECK(snapshot_bytes(packed_layout(pro), 1048576) == 5'285'827'624);
}

TEST("a snapshot is read back by the layout that wrote it and refused by any other") {
    const Shape shape = cache_shape();
    const CacheLayout layout = packed_layout(shape);
    const std::vector<int32_t> tokens{1, 2, 99, 0, 5};
    std::vector<uint8_t> bytes = snapshot_of(layout, tokens);
    const SnapshotContents contents = read_snapshot(layout, 5, bytes);
    CHECK(contents.tokens == tokens && contents.rows == bytes.data() + 40 + 20);
    CHECK(status_of(layout, 4, bytes) == DS4_ERR_CONTEXT_FULL);
    CHECK(status_of(layout, 5, std::span(bytes).first(39)) == DS4_ERR_FORMAT);
    CHECK(status_of(layout, 5, std::span(bytes).first(bytes.size() - 1)) == DS4_ERR_FORMAT);
    CacheLayout plain = layout;
    plain.kv.storage = RowStorage::f32;
    CHECK(status_of(plain, 5, bytes) == DS4_ERR_FORMAT);
    bytes.back() ^= 1;
    CHECK(status_of(layout, 5, bytes) == DS4_ERR_FORMAT);
    CHECK(status_of(layout, 5, snapshot_of(layout, {100})) == DS4_ERR_FORMAT);
}
