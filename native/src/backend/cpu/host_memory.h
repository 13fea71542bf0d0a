// Cache memory of the CPU backend: that of the process.
#pragma once
#include <cstdint>
#include <memory>

#include "kv/page_pool.h"

namespace ds4::cpu {

class HostMemory : public CacheMemory {
  public:
    uint8_t *allocate(uint64_t bytes) override;
    void release(uint8_t *block, uint64_t bytes) noexcept override;
    void copy(uint8_t *to, const uint8_t *from, uint64_t bytes) override;
    void read(const uint8_t *from, void *to_host, uint64_t bytes) const override;
    void write(uint8_t *to, const void *from_host, uint64_t bytes) override;
    uint64_t available() const override;
};

// The pages of a backend, or of one test.
std::shared_ptr<PagePool> host_pages(const CacheLayout &layout, const CacheIdentity &identity = {});

} // namespace ds4::cpu
