// Anonymous memory placed on a NUMA node, in huge pages where the system has them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>

namespace ds4::machine {

enum class HugePages { automatic, two_mib, one_gib, off };

constexpr int kFirstTouch = -1; // each page on the node that first writes to it
constexpr int kEveryNode = -2;  // pages in turn over all nodes with memory

struct Placement {
    int node = kFirstTouch; // a node's number, kFirstTouch or kEveryNode
    HugePages huge = HugePages::automatic;
};

// Owns one mapping, which is zero-filled. It is aligned to 2 MiB when it is at least that large,
// else to a page.
class Mapping {
  public:
    Mapping() = default;
    // Throws Error(DS4_ERR_DEVICE_MEMORY) naming the bytes, and the node when strict binding fails.
    Mapping(size_t bytes, const Placement &placement);
    Mapping(Mapping &&other) noexcept { swap(other); }
    Mapping &operator=(Mapping &&other) noexcept { return swap(other), *this; }
    ~Mapping();
    uint8_t *data() const { return data_; }
    size_t bytes() const { return bytes_; }

  private:
    bool map_huge(HugePages huge);
    void map_pages(HugePages huge);
    void swap(Mapping &other) {
        std::swap(data_, other.data_), std::swap(bytes_, other.bytes_);
        std::swap(base_, other.base_), std::swap(base_bytes_, other.base_bytes_);
    }
    void *base_ = nullptr; // what was mapped; data_ is the aligned part of it
    size_t base_bytes_ = 0;
    uint8_t *data_ = nullptr;
    size_t bytes_ = 0;
};

struct PageUse {
    uint64_t resident_bytes = 0;
    uint64_t huge_bytes = 0; // of the resident ones, in pages of 2 MiB or more
};
// Pages that the kernel gave to ranges [begin, end) of this process; zeros when it does not say.
PageUse page_use(const std::pair<const uint8_t *, size_t> *ranges, size_t count);

} // namespace ds4::machine
