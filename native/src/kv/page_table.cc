#include "kv/page_table.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/assert.h"

namespace ds4 {
namespace {

constexpr int64_t kTokens = PageLayout::kTokens;

// Names are never used twice, so a page outlives its writer without harm.
uint64_t next_writer() {
    static std::atomic<uint64_t> last{0};
    return ++last;
}

} // namespace

PageTable::PageTable(std::shared_ptr<PagePool> pool)
    : pool_(std::move(pool)), writer_(next_writer()) {}

// Is the page of `begin` one of another writer, or does somebody hold rows of it past `begin`?
bool PageTable::must_copy(int64_t begin) const {
    return begin % kTokens != 0 &&
           (pages_[size_t(begin / kTokens)]->writer != writer_ || begin < held_end_);
}

uint64_t PageTable::missing_bytes(int64_t begin, int64_t end) const {
    const int64_t added = PageLayout::pages(end) - int64_t(pages_.size()),
                  pages = std::max<int64_t>(0, added) + (must_copy(begin) ? 1 : 0);
    return uint64_t(pages) * pool_->page_bytes();
}

void PageTable::make_writable(int64_t begin, int64_t end) {
    const bool copies = must_copy(begin);
    const size_t kept = copies ? size_t(begin / kTokens) : pages_.size(),
                 wanted = size_t(PageLayout::pages(end));
    if (wanted <= kept) return;
    // A copy gives the table a new name, which disowns the pages that others hold.
    const uint64_t writer = copies ? next_writer() : writer_;
    PageRefs added;
    while (kept + added.size() < wanted) added.push_back(pool_->allocate(writer));
    if (copies) {
        const Page &old = *pages_[kept], &copy = *added.front();
        pool_->pages.each_filled(begin % kTokens, [&](int64_t offset, int64_t bytes) {
            pool_->memory().copy(copy.rows.data() + offset, old.rows.data() + offset,
                                 uint64_t(bytes));
        });
        std::copy_n(old.tokens.data(), begin % kTokens, added.front()->tokens.data());
    }
    pages_.reserve(wanted), rows_.reserve(wanted); // from here on nothing throws
    pages_.resize(kept), rows_.resize(kept);
    for (std::shared_ptr<Page> &page : added) {
        rows_.push_back(page->rows.data());
        pages_.push_back(std::move(page));
    }
    if (copies) writer_ = writer, held_end_ = 0;
}

void PageTable::write_tokens(int64_t position, const int32_t *tokens, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        pages_[size_t((position + i) / kTokens)]->tokens[size_t((position + i) % kTokens)] =
            tokens[i];
}

PageRefs PageTable::share(int64_t position) {
    const PageRefs shared(pages_.begin(), pages_.begin() + PageLayout::pages(position));
    held_end_ = std::max(held_end_, position);
    return shared;
}

void PageTable::assume(const PageRefs &pages) {
    PageRefs copy = pages;
    std::vector<uint8_t *> rows;
    for (const std::shared_ptr<Page> &page : copy) rows.push_back(page->rows.data());
    pages_.swap(copy), rows_.swap(rows);
}

void PageTable::clear() noexcept {
    pages_.clear(), rows_.clear();
    writer_ = next_writer(), held_end_ = 0;
}

} // namespace ds4
