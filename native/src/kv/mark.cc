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

uint64_t Mark::own_bytes() const {
    uint64_t bytes = recent_.bytes();
    for (const std::shared_ptr<Page> &page : pages_)
        if (page.use_count() == 1) bytes += pool_->page_bytes();
    return bytes;
}

} // namespace ds4
