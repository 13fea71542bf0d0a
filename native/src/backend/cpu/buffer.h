// Scratch memory of the blocks of a step, 64-byte aligned.
#pragma once
#include <cstdint>
#include <deque>

#include "backend/cpu/workspace.h"

namespace ds4::cpu {

// Grows when more is asked for, which loses the contents. What one step leaves in it the next one
// does not see.
class Buffer {
  public:
    // workspace: counts the memory and gives it back; it outlives the buffer. Null: neither.
    explicit Buffer(Workspace *workspace = nullptr) : workspace_(workspace) {
        if (workspace_ != nullptr) workspace_->add(*this);
    }
    ~Buffer() {
        release();
        if (workspace_ != nullptr) workspace_->remove(*this);
    }
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;

    // At least count elements of T, uninitialised. Throws std::bad_alloc.
    template <typename T> T *get(int64_t count) {
        const uint64_t needed = needed_bytes(uint64_t(count) * sizeof(T));
        if (needed > peak_) peak_ = needed;
        if (needed > bytes_) allocate(needed);
        return static_cast<T *>(data_);
    }
    // Memory that get() takes for so many bytes.
    static uint64_t needed_bytes(uint64_t bytes) { return (bytes + 63) / 64 * 64 + 64; }

    uint64_t bytes() const { return bytes_; }
    // The largest amount asked for since the last call.
    uint64_t take_peak() {
        const uint64_t peak = peak_;
        peak_ = 0;
        return peak;
    }
    void release() noexcept;

  private:
    void allocate(uint64_t bytes);

    Workspace *workspace_;
    void *data_ = nullptr;
    uint64_t bytes_ = 0, peak_ = 0;
};

// One for each worker of a pool. They stay where they are: a workspace knows their addresses.
inline std::deque<Buffer> worker_buffers(Workspace *workspace, int workers) {
    std::deque<Buffer> buffers;
    for (int i = 0; i < workers; i++) buffers.emplace_back(workspace);
    return buffers;
}

} // namespace ds4::cpu
