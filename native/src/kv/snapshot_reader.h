// Reads a snapshot as its bytes come, cut anywhere, into the pages and recent rows of a new mark.
// A region is checked before anything of it is used, and no sequence is touched.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "kv/mark.h"
#include "kv/snapshot.h"

namespace ds4 {

class SnapshotReader {
  public:
    // Refuses snapshots of more than max_tokens tokens.
    SnapshotReader(std::shared_ptr<PagePool> pool, uint32_t max_tokens)
        : pool_(std::move(pool)), max_tokens_(max_tokens) {}

    // Takes the next bytes; holds at most one region that is not complete. Throws
    // Error(DS4_ERR_FORMAT) for bytes that are damaged, or no snapshot of this model and numerics.
    // Too many tokens are DS4_ERR_CONTEXT_FULL, and pages that do not fit DS4_ERR_DEVICE_MEMORY.
    // After an error it takes nothing more.
    void write(std::span<const uint8_t> bytes);
    // The mark, once, after all bytes. Throws Error(DS4_ERR_FORMAT) if some are missing.
    std::shared_ptr<const Mark> finish();

  private:
    uint64_t wanted() const; // bytes of the region that comes next; 0 after the last
    void take(std::span<const uint8_t> region);
    void take_header(std::span<const uint8_t> region);
    void take_page(std::span<const uint8_t> region);
    void check_sum(std::span<const uint8_t> region) const;

    std::shared_ptr<PagePool> pool_;
    uint32_t max_tokens_;
    bool failed_ = false;
    std::vector<uint8_t> partial_; // of the region that comes next
    uint32_t region_ = 0;
    uint64_t taken_ = 0; // bytes of the regions before it
    std::optional<SnapshotHeader> header_;
    PageRefs pages_;
    CacheBlock recent_;
};

} // namespace ds4
