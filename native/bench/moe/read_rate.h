// Rates at which the threads of a pool read memory. Every kernel is measured against them.
#pragma once
#include <cstdint>

#include "moe/pool_runner.h"
#include "pool/memory.h"

namespace ds4::bench {

// Memory far above every cache, touched once, shared by all measurements.
class ReadMemory {
  public:
    explicit ReadMemory(size_t bytes);
    const uint8_t *data() const { return memory_.data(); }
    size_t bytes() const { return memory_.bytes(); }
    // Picks the prefetch distance that reads fastest. On some CPUs the hardware's own prefetching
    // does not cross pages.
    void choose_ahead(int threads, int parts, double seconds);
    size_t ahead = 0; // bytes; 0: the hardware's prefetch alone

  private:
    ktb::Mapping memory_;
};

class Reader {
  public:
    Reader(const ReadMemory &memory, int threads, int parts)
        : memory_(memory), runner_(threads, parts) {}
    // Runs one step that reads `bytes`, other bytes than the last time.
    void read(size_t bytes);
    // Bytes a second of steps so long that their hand-off does not count. It is the first decile of
    // at least five.
    double stream(double seconds);
    PoolRunner &runner() { return runner_; }

  private:
    const ReadMemory &memory_;
    PoolRunner runner_;
    size_t at_ = 0;
};

} // namespace ds4::bench
