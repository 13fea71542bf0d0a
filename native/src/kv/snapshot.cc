#include "kv/snapshot.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/fail.h"
#include "ds4.h"
#include "kv/recent_rows.h"

namespace ds4 {
namespace {

constexpr char kMagic[7] = {'D', 'S', '4', 'S', 'E', 'Q', '\0'};
constexpr uint8_t kVersion = 2;

struct RawHeader {
    char magic[7];
    uint8_t version;
    uint64_t bytes, model;
    uint32_t numerics, tokens, page_tokens, reserved;
    uint64_t checksum; // of the bytes before it
};
static_assert(sizeof(RawHeader) == SnapshotHeader::kBytes);

uint64_t checksum_of(const RawHeader &raw) {
    const auto *bytes = reinterpret_cast<const uint8_t *>(&raw);
    return region_checksum({bytes, sizeof raw - kChecksumBytes}, 0);
}

int64_t tokens_in_page(uint32_t n, uint32_t page) {
    return std::min(PageLayout::kTokens, int64_t(n) - int64_t(page) * PageLayout::kTokens);
}

void finish_region(uint8_t *out, uint64_t bytes, uint32_t region) {
    const uint64_t sum = region_checksum({out, size_t(bytes - kChecksumBytes)}, region);
    std::memcpy(out + bytes - kChecksumBytes, &sum, kChecksumBytes);
}

void write_page(const Mark &mark, uint32_t page, uint8_t *out) {
    const Page &from = *mark.pages()[page];
    const int64_t tokens = tokens_in_page(mark.position(), page);
    std::memcpy(out, from.tokens.data(), size_t(tokens) * sizeof(int32_t));
    uint8_t *cursor = out + tokens * int64_t(sizeof(int32_t));
    mark.pool().pages.each_filled(tokens, [&](int64_t offset, int64_t bytes) {
        mark.pool().memory().read(from.rows.data() + offset, cursor, uint64_t(bytes));
        cursor += bytes;
    });
}

} // namespace

uint64_t region_checksum(std::span<const uint8_t> bytes, uint32_t region) {
    Checksum sum(region);
    sum.add(bytes.data(), bytes.size());
    return sum.value();
}

uint32_t snapshot_region_count(uint32_t n) { return uint32_t(PageLayout::pages(n)) + 2; }

uint64_t snapshot_region_bytes(const PagePool &pool, uint32_t n, uint32_t region) {
    DS4_ASSERT(region < snapshot_region_count(n));
    if (region == 0) return SnapshotHeader::kBytes;
    if (region + 1 == snapshot_region_count(n))
        return recent_bytes(pool.layout, n) + kChecksumBytes;
    const int64_t tokens = tokens_in_page(n, region - 1);
    int64_t total = tokens * int64_t(sizeof(int32_t)) + int64_t(kChecksumBytes);
    pool.pages.each_filled(tokens, [&](int64_t, int64_t bytes) { total += bytes; });
    return uint64_t(total);
}

uint64_t snapshot_bytes(const PagePool &pool, uint32_t n) {
    const uint32_t whole = n / uint32_t(PageLayout::kTokens), regions = snapshot_region_count(n);
    uint64_t total = SnapshotHeader::kBytes + snapshot_region_bytes(pool, n, regions - 1);
    if (whole > 0) total += whole * snapshot_region_bytes(pool, n, 1);
    if (n % PageLayout::kTokens != 0) total += snapshot_region_bytes(pool, n, whole + 1);
    return total;
}

void write_snapshot_region(const Mark &mark, uint32_t region, uint8_t *out) {
    const PagePool &pool = mark.pool();
    const uint32_t n = mark.position();
    if (region == 0) return SnapshotHeader{snapshot_bytes(pool, n), pool.identity, n}.write(out);
    if (region + 1 < snapshot_region_count(n))
        write_page(mark, region - 1, out);
    else
        pool.memory().read(mark.recent(), out, mark.recent_bytes());
    finish_region(out, snapshot_region_bytes(pool, n, region), region);
}

void write_snapshot(const Mark &mark, uint8_t *out) {
    for (uint32_t i = 0; i < snapshot_region_count(mark.position()); i++) {
        write_snapshot_region(mark, i, out);
        out += snapshot_region_bytes(mark.pool(), mark.position(), i);
    }
}

void SnapshotHeader::write(uint8_t *out) const {
    RawHeader raw{};
    std::memcpy(raw.magic, kMagic, sizeof kMagic);
    raw.version = kVersion, raw.bytes = bytes, raw.model = identity.model,
    raw.numerics = identity.numerics, raw.tokens = tokens,
    raw.page_tokens = uint32_t(PageLayout::kTokens);
    raw.checksum = checksum_of(raw);
    std::memcpy(out, &raw, sizeof raw);
}

SnapshotHeader SnapshotHeader::read(std::span<const uint8_t> bytes) {
    RawHeader raw;
    DS4_ASSERT(bytes.size() >= sizeof raw);
    std::memcpy(&raw, bytes.data(), sizeof raw);
    if (std::memcmp(raw.magic, kMagic, sizeof kMagic) != 0)
        fail(DS4_ERR_FORMAT, "not a snapshot: it does not begin with DS4SEQ");
    if (raw.version != kVersion)
        fail(DS4_ERR_FORMAT,
             "the snapshot has format %u, and this library reads format %u; make it again from its "
             "tokens",
             raw.version, kVersion);
    if (raw.checksum != checksum_of(raw))
        fail(DS4_ERR_FORMAT, "the snapshot is damaged: the checksum of its header does not fit");
    if (raw.page_tokens != PageLayout::kTokens || raw.reserved != 0)
        fail(DS4_ERR_FORMAT, "the snapshot has pages of %u tokens; expected %lld", raw.page_tokens,
             (long long)PageLayout::kTokens);
    return {raw.bytes, {raw.model, raw.numerics}, raw.tokens};
}

} // namespace ds4
