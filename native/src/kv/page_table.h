// The pages of one sequence, in order. A table appends to the pages that it has allocated. Marks
// and other tables may hold the same pages; they read the rows before their own position. A table
// that stands inside a page of another one copies the filled part before it appends.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "kv/page_pool.h"

namespace ds4 {

class PageTable {
  public:
    explicit PageTable(std::shared_ptr<PagePool> pool);
    PageTable(const PageTable &) = delete;
    PageTable &operator=(const PageTable &) = delete;

    // Bytes that make_writable would allocate. The table holds the tokens before `begin`.
    uint64_t missing_bytes(int64_t begin, int64_t end) const;
    // Makes the rows and ids of positions begin..end-1 writable. Throws std::bad_alloc and is as it
    // was.
    void make_writable(int64_t begin, int64_t end);
    // The ids of positions that are writable.
    void write_tokens(int64_t position, const int32_t *tokens, int64_t count);
    // The pages of the first `position` tokens, for others to hold. This table will not overwrite
    // them.
    PageRefs share(int64_t position);
    // Takes the pages of a mark in place of its own. Throws std::bad_alloc and is as it was.
    void assume(const PageRefs &pages);
    void clear() noexcept;

    uint8_t *page(int64_t index) const { return rows_[size_t(index)]; }
    int32_t token(int64_t position) const {
        return pages_[size_t(position / PageLayout::kTokens)]
            ->tokens[size_t(position % PageLayout::kTokens)];
    }
    const PageRefs &pages() const { return pages_; }
    PagePool &pool() const { return *pool_; }

  private:
    bool must_copy(int64_t begin) const;
    std::shared_ptr<PagePool> pool_;
    PageRefs pages_;
    std::vector<uint8_t *> rows_; // of each page
    uint64_t writer_;             // of the pages that this table has allocated since it was renamed
    int64_t held_end_ = 0;        // the largest position that was shared under this name
};

// Rows of one kind of one layer, addressed through the page table.
class PagedRows {
  public:
    PagedRows(const PageTable &table, const PageRows &rows) : table_(&table), rows_(rows) {}
    uint8_t *row(int64_t index) const {
        return table_->page(index >> rows_.shift) + rows_.offset +
               (index & ((int64_t(1) << rows_.shift) - 1)) * rows_.row_bytes;
    }
    int64_t row_bytes() const { return rows_.row_bytes; }
    // Rows that lie one after another in memory: those of a page.
    int64_t run() const { return rows_.rows(); }

  private:
    const PageTable *table_;
    PageRows rows_;
};

} // namespace ds4
