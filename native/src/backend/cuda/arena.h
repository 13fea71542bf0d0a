// The scratch memory of a lane's steps. A step asks for its buffers twice in the same order: first
// to count the bytes, then to get them.
#pragma once
#include <algorithm>
#include <cstdint>

#include "device/device.h"

namespace ds4::cuda {

class Arena {
  public:
    // Counts only; every buffer is null.
    Arena() = default;
    explicit Arena(const device::Memory &memory)
        : data_(memory.data()), capacity_(memory.bytes()) {}

    template <typename T> T *take(int64_t count) {
        const uint64_t at = bytes_;
        bytes_ += (uint64_t(count) * sizeof(T) + 255) / 256 * 256;
        return data_ == nullptr || bytes_ > capacity_ ? nullptr : reinterpret_cast<T *>(data_ + at);
    }
    uint64_t bytes() const { return std::max<uint64_t>(bytes_, 256); }

  private:
    uint8_t *data_ = nullptr;
    uint64_t capacity_ = 0, bytes_ = 0;
};

} // namespace ds4::cuda
