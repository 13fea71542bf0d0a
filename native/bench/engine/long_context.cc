#include "engine/long_context.h"

#include <cstring>

#include "backend/cpu/host_memory.h"
#include "engine/flash_width_model.h"
#include "kv/recent_rows.h"
#include "kv/snapshot.h"

namespace ds4::bench {
namespace {

struct Random {
    uint64_t state = 88172645463325252ull;
    float next() { // -1..1
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        return float(int32_t(state >> 32)) * 0x1p-31f;
    }
};

// Encoding is slow beside a copy, so rows repeat a pool of encoded ones in a scattered order.
constexpr int kPool = 1024;

class RowPool {
  public:
    RowPool(const CacheLayout &layout, Random &random)
        : kv_bytes_(layout.kv.bytes()), index_bytes_(layout.index.bytes()),
          kv_(size_t(kv_bytes_ * kPool)), index_(size_t(index_bytes_ * kPool)) {
        std::vector<float> row(size_t(layout.kv.channels));
        for (int i = 0; i < kPool; i++) {
            for (float &value : row) value = random.next();
            layout.kv.encode(row.data(), kv_.data() + i * kv_bytes_);
            for (int c = 0; c < layout.index.channels; c++) row[size_t(c)] = random.next();
            layout.index.encode(row.data(), index_.data() + i * index_bytes_);
        }
    }
    const uint8_t *kv(int64_t i) const { return kv_.data() + scattered(i) * kv_bytes_; }
    const uint8_t *index(int64_t i) const { return index_.data() + scattered(i) * index_bytes_; }

  private:
    static int64_t scattered(int64_t i) {
        return int64_t(uint64_t(i) * 0x9e3779b97f4a7c15ull >> 54);
    }
    int64_t kv_bytes_, index_bytes_;
    std::vector<uint8_t> kv_, index_;
};

// That of the engine's own snapshots: a session that has no tokens has a header.
CacheIdentity identity_of(ds4_engine *engine) {
    const ds4_session_options options{sizeof options, 1, nullptr};
    ds4_session *session = nullptr;
    expect_ok(ds4_session_open(engine, &options, &session), "ds4_session_open");
    uint8_t bytes[256];
    uint64_t count = 0;
    expect_ok(ds4_session_snapshot(session, bytes, sizeof bytes, &count), "ds4_session_snapshot");
    ds4_session_close(session);
    return SnapshotHeader::read({bytes, size_t(count)}).identity;
}

void fill_rows(const PageTable &table, const RowPool &pool, uint32_t n) {
    const CacheLayout &layout = table.pool().layout;
    for (size_t l = 0; l < layout.shape.layer.size(); l++) {
        const PageLayout::Layer &rows = table.pool().pages.layer(int(l));
        const PagedRows compressed(table, rows.compressed), index(table, rows.index);
        const int64_t count = layout.shape.layer[l].visible_entries(int64_t(n) - 1);
        for (int64_t i = 0; i < count; i++) {
            std::memcpy(compressed.row(i), pool.kv(i), size_t(compressed.row_bytes()));
            if (index.row_bytes() > 0)
                std::memcpy(index.row(i), pool.index(i), size_t(index.row_bytes()));
        }
    }
}

void fill_recent(uint8_t *cursor, const CacheLayout &layout, const RowPool &pool, Random &random,
                 uint32_t n) {
    for (const LayerShape &layer : layout.shape.layer)
        for (const RecentSection &section : recent_sections(layout, layer, n))
            for (int64_t i = 0; i < section.count; i++, cursor += section.row_bytes) {
                if (section.rows == RecentRows::window) {
                    std::memcpy(cursor, pool.kv(section.first + i), size_t(section.row_bytes));
                    continue;
                }
                for (int64_t at = 0; at < section.row_bytes; at += 4) {
                    const float value = random.next();
                    std::memcpy(cursor + at, &value, 4);
                }
            }
}

} // namespace

std::vector<uint8_t> random_snapshot(ds4_engine *engine, const Shape &shape, uint32_t n) {
    const CacheLayout layout{shape,
                             {shape.head_dim, shape.rope_dim, RowStorage::packed},
                             {shape.index_head_dim, RowStorage::packed}};
    const std::shared_ptr<PagePool> pages = cpu::host_pages(layout, identity_of(engine));
    Random random;
    const RowPool pool(layout, random);
    PageTable table(pages);
    table.make_writable(0, n);
    for (uint32_t i = 0; i < n; i++) {
        const int32_t token = int32_t(i * 7919u % uint32_t(shape.vocab));
        table.write_tokens(i, &token, 1);
    }
    fill_rows(table, pool, n);
    CacheBlock recent(pages, recent_bytes(layout, n));
    fill_recent(recent.data(), layout, pool, random, n);
    const Mark mark(pages, n, table.share(n), std::move(recent));
    std::vector<uint8_t> bytes(snapshot_bytes(*pages, n));
    write_snapshot(mark, bytes.data());
    return bytes;
}

} // namespace ds4::bench
