// The state of a sequence at one position, for good. A mark shares the pages of its sequence and
// has a copy of the recent rows, so it costs a few MiB at any position. Sequences can start from
// it, and its own sequence can come back to it.
#pragma once
#include <cstdint>
#include <memory>

#include "kv/page_pool.h"
#include "kv/page_table.h"

namespace ds4 {

class Mark {
  public:
    // recent: the sections of all layers (kv/recent_rows.h), in order.
    Mark(std::shared_ptr<PagePool> pool, uint32_t position, PageRefs pages, CacheBlock recent)
        : pool_(std::move(pool)), position_(position), pages_(std::move(pages)),
          recent_(std::move(recent)) {}

    uint32_t position() const { return position_; }
    void copy_tokens(int32_t *out) const; // out: [position]
    const PageRefs &pages() const { return pages_; }
    const uint8_t *recent() const { return recent_.data(); }
    uint64_t recent_bytes() const { return recent_.bytes(); }
    // Its recent rows and its pages, shared or not.
    uint64_t bytes() const { return recent_.bytes() + pages_.size() * pool_->page_bytes(); }
    // Its recent rows, and those of its pages that nobody else holds at this moment.
    uint64_t own_bytes() const;
    PagePool &pool() const { return *pool_; }
    // Does a sequence of `position` tokens begin with the tokens of this mark?
    bool begins(const PageTable &table, uint32_t position) const;

  private:
    std::shared_ptr<PagePool> pool_;
    uint32_t position_;
    PageRefs pages_;
    CacheBlock recent_;
};

} // namespace ds4
