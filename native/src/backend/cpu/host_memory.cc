#include "backend/cpu/host_memory.h"

#include <cstring>
#include <new>

#include "machine/memory.h"

namespace ds4::cpu {
namespace {

constexpr std::align_val_t kAlignment{64};

} // namespace

uint8_t *HostMemory::allocate(uint64_t bytes) {
    return static_cast<uint8_t *>(::operator new(size_t(bytes), kAlignment));
}

void HostMemory::release(uint8_t *block, uint64_t) noexcept {
    ::operator delete(block, kAlignment);
}

void HostMemory::copy(uint8_t *to, const uint8_t *from, uint64_t bytes) {
    if (bytes > 0) std::memcpy(to, from, size_t(bytes));
}

void HostMemory::read(const uint8_t *from, void *to_host, uint64_t bytes) const {
    if (bytes > 0) std::memcpy(to_host, from, size_t(bytes));
}

void HostMemory::write(uint8_t *to, const void *from_host, uint64_t bytes) {
    if (bytes > 0) std::memcpy(to, from_host, size_t(bytes));
}

uint64_t HostMemory::available() const { return machine::available_memory(); }

std::shared_ptr<PagePool> host_pages(const CacheLayout &layout, const CacheIdentity &identity) {
    return std::make_shared<PagePool>(layout, identity, std::make_unique<HostMemory>());
}

} // namespace ds4::cpu
