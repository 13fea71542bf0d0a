// Cache pages and marks in the memory of a GPU.
#pragma once
#include <map>
#include <mutex>
#include <vector>

#include "device/device.h"
#include "kv/cache_memory.h"
#include "kv/page_pool.h"

namespace ds4::cuda {

// Threads: any. Blocks that were released are kept for the next of their size: the driver would
// stop the GPU to take them back.
class DeviceMemory : public CacheMemory {
  public:
    explicit DeviceMemory(int ordinal) : ordinal_(ordinal) { device::use(ordinal); }
    ~DeviceMemory() override;

    uint8_t *allocate(uint64_t bytes) override;
    void release(uint8_t *block, uint64_t bytes) noexcept override;
    void copy(uint8_t *to, const uint8_t *from, uint64_t bytes) override;
    void read(const uint8_t *from, void *to_host, uint64_t bytes) const override;
    void write(uint8_t *to, const void *from_host, uint64_t bytes) override;
    uint64_t available() const override;

  private:
    template <typename Copy> void copy_alone(const Copy &copy) const;
    void give_back_spare() noexcept;

    const int ordinal_;
    mutable std::mutex mutex_;
    mutable device::Stream stream_;
    std::map<uint64_t, std::vector<uint8_t *>> spare_; // by bytes
    uint64_t spare_bytes_ = 0;
};

} // namespace ds4::cuda
