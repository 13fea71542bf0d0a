// The cache of one sequence in the memory of a GPU. A step stages the rows of its tokens beside the
// current ones; commit makes those of the kept tokens current.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "backend/cuda/recent_layout.h"
#include "device/device.h"
#include "kv/mark.h"
#include "kv/page_table.h"

namespace ds4::cuda {

class Sequence : public SequenceState {
  public:
    // ordinal: of the GPU whose memory the pool hands out.
    Sequence(std::shared_ptr<PagePool> pool, const RecentLayout &recent, int ordinal,
             uint32_t capacity);

    uint32_t position() const override { return position_.load(std::memory_order_acquire); }
    uint32_t capacity() const override { return capacity_; }
    uint64_t bytes() const override { return bytes_.load(std::memory_order_relaxed); }
    uint64_t snapshot_bytes() const override;
    uint32_t max_partial_step() const override;
    void reset() override;
    std::shared_ptr<const Mark> mark() override;
    void resume(const Mark &mark) override;
    void cut(const Mark &mark) override;

    // Makes rows writable up to the position after `count` more tokens and tells the GPU the pages.
    // Throws before anything has changed: Error(DS4_ERR_DEVICE_MEMORY).
    void reserve(uint32_t count, device::Stream &stream);
    // Device address of a compressed entry of a layer, for traces.
    const uint8_t *compressed_row(int layer, int64_t entry) const {
        return PagedRows(pages_, pages_.pool().pages.layer(layer).compressed).row(entry);
    }
    // How kernels of a step of `count` tokens see it; first_row: in the step.
    kernels::SequenceEntry entry(int32_t first_row, int32_t count) const;
    // Throws Error(DS4_ERR_ARGUMENT) unless `kept` of the `count` staged tokens can become current:
    // all, none, or any of a step of at most max_partial_step().
    void check_kept(uint32_t count, uint32_t kept) const;
    // The staged rows of the first `kept` tokens have become current on the GPU.
    void advance(const int32_t *tokens, uint32_t kept);

  private:
    template <typename Visit> void each_recent_run(uint32_t position, const Visit &visit) const;
    void publish(uint32_t position);

    PageTable pages_;
    const RecentLayout &recent_layout_;
    const int ordinal_;
    const uint32_t capacity_;
    device::Memory recent_, staged_;
    device::Memory page_addresses_;   // [pages of the capacity] uint8_t *
    std::vector<uint8_t *> uploaded_; // the addresses that the GPU knows
    device::Stream stream_;           // of marks
    std::atomic<uint32_t> position_{0};
    std::atomic<uint64_t> bytes_{0};
};

} // namespace ds4::cuda
