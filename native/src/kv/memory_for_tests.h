// Cache memory that counts its blocks, refuses when told to, and fills new blocks with a pattern.
// Test code.
#pragma once
#include <cstring>
#include <memory>
#include <new>

#include "kv/layout_for_tests.h"
#include "kv/page_pool.h"

namespace ds4::test {

class CountingMemory : public CacheMemory {
  public:
    struct Counts {
        int64_t blocks = 0, bytes = 0;
        int64_t until_failure = -1; // allocations that succeed before one fails; -1: all
        uint64_t available = UINT64_MAX;
    };
    explicit CountingMemory(Counts &counts) : counts_(counts) {}

    uint8_t *allocate(uint64_t bytes) override {
        if (counts_.until_failure == 0) throw std::bad_alloc();
        if (counts_.until_failure > 0) counts_.until_failure--;
        auto *block = static_cast<uint8_t *>(::operator new(bytes, std::align_val_t(64)));
        std::memset(block, 0xa5, bytes);
        counts_.blocks++, counts_.bytes += int64_t(bytes);
        return block;
    }
    void release(uint8_t *block, uint64_t bytes) noexcept override {
        counts_.blocks--, counts_.bytes -= int64_t(bytes);
        ::operator delete(block, std::align_val_t(64));
    }
    void copy(uint8_t *to, const uint8_t *from, uint64_t bytes) override {
        if (bytes > 0) std::memcpy(to, from, bytes);
    }
    void read(const uint8_t *from, void *to_host, uint64_t bytes) const override {
        if (bytes > 0) std::memcpy(to_host, from, bytes);
    }
    void write(uint8_t *to, const void *from_host, uint64_t bytes) override {
        if (bytes > 0) std::memcpy(to, from_host, bytes);
    }
    uint64_t available() const override { return counts_.available; }

  private:
    Counts &counts_;
};

// The counts outlive the pool.
inline std::shared_ptr<PagePool> counting_pages(const CacheLayout &layout,
                                                CountingMemory::Counts &counts,
                                                const CacheIdentity &identity = {}) {
    return std::make_shared<PagePool>(layout, identity, std::make_unique<CountingMemory>(counts));
}

} // namespace ds4::test
