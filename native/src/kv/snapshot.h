// The byte format of a snapshot (docs/formats/snapshot.md): a mark as a header, a region for each
// page and one for the recent rows. Every region ends with its checksum. All sizes follow from the
// number of tokens, so no count in a snapshot can disagree with its rows.
#pragma once
#include <cstdint>
#include <span>

#include "kv/cache_identity.h"
#include "kv/mark.h"
#include "kv/page_pool.h"

namespace ds4 {

// Regions of a snapshot of n tokens: 0 is the header, the last one holds the recent rows.
uint32_t snapshot_region_count(uint32_t n);
uint64_t snapshot_region_bytes(const PagePool &pool, uint32_t n, uint32_t region);
// The sum over all regions.
uint64_t snapshot_bytes(const PagePool &pool, uint32_t n);

// out: snapshot_region_bytes() bytes. May run beside steps of any sequence.
void write_snapshot_region(const Mark &mark, uint32_t region, uint8_t *out);
// All regions, one after another; out: snapshot_bytes() bytes.
void write_snapshot(const Mark &mark, uint8_t *out);

struct SnapshotHeader {
    static constexpr uint64_t kBytes = 48;
    uint64_t bytes; // of the whole snapshot
    CacheIdentity identity;
    uint32_t tokens;

    // bytes: at least kBytes. Throws Error(DS4_ERR_FORMAT) for anything but a whole header of this
    // version, and says which version it is of.
    static SnapshotHeader read(std::span<const uint8_t> bytes);
    void write(uint8_t *out) const;
};

constexpr uint64_t kChecksumBytes = 8; // the end of every region
// The checksum of a region: of its other bytes, seeded with its number.
uint64_t region_checksum(std::span<const uint8_t> bytes, uint32_t region);

} // namespace ds4
