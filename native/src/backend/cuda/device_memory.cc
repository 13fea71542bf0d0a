#include "backend/cuda/device_memory.h"

#include <new>

#include "base/fail.h"

namespace ds4::cuda {

DeviceMemory::~DeviceMemory() { give_back_spare(); }

void DeviceMemory::give_back_spare() noexcept {
    for (auto &[bytes, blocks] : spare_)
        for (uint8_t *block : blocks) device::release(block);
    spare_.clear();
    spare_bytes_ = 0;
}

uint8_t *DeviceMemory::allocate(uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    if (const auto found = spare_.find(bytes); found != spare_.end() && !found->second.empty()) {
        uint8_t *block = found->second.back();
        found->second.pop_back();
        spare_bytes_ -= bytes;
        return block;
    }
    device::use(ordinal_);
    try {
        return device::allocate(bytes);
    } catch (const std::exception &) {
        if (spare_bytes_ == 0) throw;
    }
    give_back_spare(); // blocks of other sizes are in the way
    return device::allocate(bytes);
}

void DeviceMemory::release(uint8_t *block, uint64_t bytes) noexcept {
    const std::lock_guard lock(mutex_);
    try {
        spare_[bytes].push_back(block);
        spare_bytes_ += bytes;
    } catch (const std::bad_alloc &) {
        device::release(block);
    }
}

template <typename Copy> void DeviceMemory::copy_alone(const Copy &copy) const {
    const std::lock_guard lock(mutex_);
    device::use(ordinal_);
    copy();
    stream_.wait();
}

void DeviceMemory::copy(uint8_t *to, const uint8_t *from, uint64_t bytes) {
    copy_alone([&] { stream_.on_device(to, from, bytes); });
}

void DeviceMemory::read(const uint8_t *from, void *to_host, uint64_t bytes) const {
    copy_alone([&] { stream_.to_host(to_host, from, bytes); });
}

void DeviceMemory::write(uint8_t *to, const void *from_host, uint64_t bytes) {
    copy_alone([&] { stream_.to_device(to, from_host, bytes); });
}

uint64_t DeviceMemory::available() const {
    const std::lock_guard lock(mutex_);
    device::use(ordinal_);
    return device::available_bytes() + spare_bytes_;
}

} // namespace ds4::cuda
