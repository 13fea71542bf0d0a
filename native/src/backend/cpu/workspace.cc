#include "backend/cpu/workspace.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "backend/cpu/buffer.h"

namespace ds4::cpu {
namespace {

// Buffers of this size are not worth a review.
constexpr uint64_t kSmallBytes = 64 << 10;

} // namespace

void Buffer::allocate(uint64_t bytes) {
    release();
    data_ = std::aligned_alloc(64, bytes);
    if (data_ == nullptr) throw std::bad_alloc();
    bytes_ = bytes;
    if (workspace_ != nullptr) workspace_->bytes_.fetch_add(bytes, std::memory_order_relaxed);
}

void Buffer::release() noexcept {
    std::free(data_);
    if (workspace_ != nullptr) workspace_->bytes_.fetch_sub(bytes_, std::memory_order_relaxed);
    data_ = nullptr, bytes_ = 0;
}

void Workspace::remove(Buffer &buffer) noexcept { std::erase(buffers_, &buffer); }

void Workspace::end_step() {
    if (++steps_ < kReviewSteps) return;
    steps_ = 0;
    for (Buffer *buffer : buffers_)
        if (buffer->take_peak() * 2 + kSmallBytes < buffer->bytes()) buffer->release();
}

void Workspace::release() noexcept {
    for (Buffer *buffer : buffers_) buffer->release();
    steps_ = 0;
}

} // namespace ds4::cpu
