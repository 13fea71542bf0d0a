// The pages of all sequences of one backend. Sequences and marks that have a beginning in common
// share its pages.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "kv/cache_identity.h"
#include "kv/cache_layout.h"
#include "kv/cache_memory.h"
#include "kv/page_layout.h"

namespace ds4 {

class PagePool;

// A block of a pool's memory, given back when the object goes.
class CacheBlock {
  public:
    CacheBlock() = default;
    // Throws std::bad_alloc.
    CacheBlock(std::shared_ptr<PagePool> pool, uint64_t bytes);
    ~CacheBlock();
    CacheBlock(CacheBlock &&other) noexcept
        : pool_(std::move(other.pool_)), data_(std::exchange(other.data_, nullptr)),
          bytes_(std::exchange(other.bytes_, 0)) {}
    CacheBlock &operator=(CacheBlock &&other) noexcept {
        std::swap(pool_, other.pool_), std::swap(data_, other.data_),
            std::swap(bytes_, other.bytes_);
        return *this;
    }
    CacheBlock(const CacheBlock &) = delete;
    CacheBlock &operator=(const CacheBlock &) = delete;

    uint8_t *data() const { return data_; }
    uint64_t bytes() const { return bytes_; }

  private:
    std::shared_ptr<PagePool> pool_;
    uint8_t *data_ = nullptr;
    uint64_t bytes_ = 0;
};

// The rows of up to 2,048 tokens and, in host memory, their ids.
struct Page {
    CacheBlock rows;
    std::array<int32_t, PageLayout::kTokens> tokens;
    const uint64_t writer; // the page table that may append to it; 0: none
    Page(std::shared_ptr<PagePool> pool, uint64_t bytes, uint64_t writer)
        : rows(std::move(pool), bytes), writer(writer) {}
};
using PageRefs = std::vector<std::shared_ptr<Page>>;

class PagePool : public std::enable_shared_from_this<PagePool> {
  public:
    PagePool(CacheLayout layout, const CacheIdentity &identity, std::unique_ptr<CacheMemory> memory)
        : layout(std::move(layout)), identity(identity), pages(this->layout),
          memory_(std::move(memory)) {}

    const CacheLayout layout;
    const CacheIdentity identity;
    const PageLayout pages;

    CacheMemory &memory() const { return *memory_; }
    // Throws std::bad_alloc.
    std::shared_ptr<Page> allocate(uint64_t writer);
    // One page with its token ids.
    static uint64_t page_bytes(const PageLayout &pages) {
        return uint64_t(pages.bytes()) + sizeof(Page);
    }
    uint64_t page_bytes() const { return page_bytes(pages); }
    // Throws Error(DS4_ERR_DEVICE_MEMORY) if `bytes` more for a sequence of `tokens` tokens would
    // leave too little to the rest of the process. The system would promise that memory and end
    // the process when it is written.
    void check_room(uint64_t bytes, int64_t tokens) const;
    // The most bytes that check_room lets pass; UINT64_MAX where the system does not say.
    uint64_t room() const;
    // Bytes of all blocks: every page and mark once, however many share it.
    uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

  private:
    friend class CacheBlock;
    std::unique_ptr<CacheMemory> memory_;
    std::atomic<uint64_t> bytes_{0};
};

} // namespace ds4
