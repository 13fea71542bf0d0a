// The scratch memory that the steps of one lane share: it is counted, and given back when it is no
// longer needed.
#pragma once
#include <atomic>
#include <cstdint>
#include <vector>

namespace ds4::cpu {

class Buffer;

class Workspace {
  public:
    // Steps after which memory that none of them needed is given back. A prompt's steps follow each
    // other, so they find their memory again. A decoding step needs a thousandth of it.
    static constexpr int kReviewSteps = 32;

    Workspace() = default;
    Workspace(const Workspace &) = delete;
    Workspace &operator=(const Workspace &) = delete;

    // Bytes of all buffers. Threads: any.
    uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
    // The end of a step: no buffer is in use.
    void end_step();
    // Gives everything back. No step runs.
    void release() noexcept;

  private:
    friend class Buffer;
    void add(Buffer &buffer) { buffers_.push_back(&buffer); }
    void remove(Buffer &buffer) noexcept;

    std::vector<Buffer *> buffers_;
    std::atomic<uint64_t> bytes_{0}; // workers grow buffers of their own during a step
    int steps_ = 0;
};

} // namespace ds4::cpu
