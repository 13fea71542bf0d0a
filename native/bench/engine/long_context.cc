#include "engine/long_context.h"

#include <cstring>

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

} // namespace

std::vector<uint8_t> random_snapshot(const Shape &shape, uint32_t n) {
    const CacheLayout layout{shape,
                             {shape.head_dim, shape.rope_dim, RowStorage::packed},
                             {shape.index_head_dim, RowStorage::packed}};
    Random random;
    const RowPool pool(layout, random);
    std::vector<int32_t> tokens(n);
    for (uint32_t i = 0; i < n; i++) tokens[i] = int32_t(i * 7919u % uint32_t(shape.vocab));
    std::vector<uint8_t> bytes(snapshot_bytes(layout, n));
    uint8_t *cursor = write_snapshot_tokens(tokens, bytes.data());
    for (const LayerShape &layer : shape.layer)
        for (const SnapshotSection &section : snapshot_sections(layout, layer, n))
            for (int64_t i = 0; i < section.count; i++, cursor += section.row_bytes) {
                const int64_t row = section.first + i;
                if (section.rows == CacheRows::window || section.rows == CacheRows::compressed)
                    std::memcpy(cursor, pool.kv(row), size_t(section.row_bytes));
                else if (section.rows == CacheRows::index)
                    std::memcpy(cursor, pool.index(row), size_t(section.row_bytes));
                else
                    for (int64_t at = 0; at < section.row_bytes; at += 4) {
                        const float value = random.next();
                        std::memcpy(cursor + at, &value, 4);
                    }
            }
    write_snapshot_header(layout, n, bytes.data());
    return bytes;
}

} // namespace ds4::bench
