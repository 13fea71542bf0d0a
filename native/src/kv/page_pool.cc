#include "kv/page_pool.h"

#include "base/fail.h"
#include "ds4.h"

namespace ds4 {
namespace {

constexpr uint64_t kSpareBytes = 4u << 20; // left to the rest of the process

} // namespace

CacheBlock::CacheBlock(std::shared_ptr<PagePool> pool, uint64_t bytes)
    : pool_(std::move(pool)), data_(bytes == 0 ? nullptr : pool_->memory().allocate(bytes)),
      bytes_(bytes) {
    pool_->bytes_ += bytes_;
}

CacheBlock::~CacheBlock() {
    if (data_ == nullptr) return;
    pool_->memory().release(data_, bytes_);
    pool_->bytes_ -= bytes_;
}

std::shared_ptr<Page> PagePool::allocate(uint64_t writer) {
    return std::make_shared<Page>(shared_from_this(), uint64_t(pages.bytes()), writer);
}

uint64_t PagePool::room() const {
    const uint64_t left = memory_->available();
    if (left == UINT64_MAX) return left;
    return left < kSpareBytes ? 0 : left - kSpareBytes;
}

void PagePool::check_room(uint64_t bytes, int64_t tokens) const {
    if (bytes == 0 || bytes <= room()) return;
    const uint64_t left = memory_->available();
    fail(DS4_ERR_DEVICE_MEMORY,
         "the cache of a sequence of %lld tokens needs %llu MiB more; %llu MiB of memory are "
         "available",
         (long long)tokens, (unsigned long long)(bytes >> 20) + 1,
         (unsigned long long)(left >> 20));
}

} // namespace ds4
