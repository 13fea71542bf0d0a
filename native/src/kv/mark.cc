#include "kv/mark.h"

#include <algorithm>

namespace ds4 {

bool Mark::begins(const PageTable &table, uint32_t position) const {
    if (&table.pool() != pool_.get() || position < position_) return false;
    for (size_t i = 0; i < pages_.size(); i++) {
        const Page &mine = *pages_[i], &theirs = *table.pages()[i];
        const int64_t first = int64_t(i) * PageLayout::kTokens,
                      count = std::min(PageLayout::kTokens, int64_t(position_) - first);
        if (&mine != &theirs &&
            !std::equal(mine.tokens.data(), mine.tokens.data() + count, theirs.tokens.data()))
            return false;
    }
    return true;
}

void Mark::copy_tokens(int32_t *out) const {
    uint32_t left = position_;
    for (const std::shared_ptr<Page> &page : pages_) {
        const uint32_t count = std::min(left, uint32_t(PageLayout::kTokens));
        out = std::copy_n(page->tokens.data(), count, out);
        left -= count;
    }
}

uint64_t Mark::own_bytes() const {
    uint64_t bytes = recent_.bytes();
    for (const std::shared_ptr<Page> &page : pages_)
        if (page.use_count() == 1) bytes += pool_->page_bytes();
    return bytes;
}

} // namespace ds4
