// The memory in which a backend keeps cache pages and marks: host memory, or that of a device. Only
// these functions touch it; addresses are plain, and offsets into a block are added to them.
#pragma once
#include <cstdint>

namespace ds4 {

class CacheMemory {
  public:
    virtual ~CacheMemory() = default;
    // At least `bytes` bytes, uninitialised, at a multiple of 64. Throws std::bad_alloc.
    virtual uint8_t *allocate(uint64_t bytes) = 0;
    virtual void release(uint8_t *block, uint64_t bytes) noexcept = 0;
    // Both sides are this memory.
    virtual void copy(uint8_t *to, const uint8_t *from, uint64_t bytes) = 0;
    virtual void read(const uint8_t *from, void *to_host, uint64_t bytes) const = 0;
    virtual void write(uint8_t *to, const void *from_host, uint64_t bytes) = 0;
    // Bytes that can still be allocated. UINT64_MAX: unknown, and allocation decides.
    virtual uint64_t available() const = 0;
};

} // namespace ds4
