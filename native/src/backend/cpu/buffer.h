// Scratch memory, 64-byte aligned. It grows and never shrinks; growing loses the contents.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

namespace ds4::cpu {

class Buffer {
  public:
    Buffer() = default;
    ~Buffer() { std::free(data_); }
    Buffer(Buffer &&other) noexcept
        : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;

    // At least count elements of T, uninitialised. Throws std::bad_alloc.
    template <typename T> T *get(int64_t count) {
        const uint64_t needed = (uint64_t(count) * sizeof(T) + 63) / 64 * 64 + 64;
        if (needed > bytes_) {
            std::free(std::exchange(data_, nullptr));
            bytes_ = 0;
            data_ = std::aligned_alloc(64, needed);
            if (data_ == nullptr) throw std::bad_alloc();
            bytes_ = needed;
        }
        return static_cast<T *>(data_);
    }
    uint64_t bytes() const { return bytes_; }

  private:
    void *data_ = nullptr;
    uint64_t bytes_ = 0;
};

} // namespace ds4::cpu
