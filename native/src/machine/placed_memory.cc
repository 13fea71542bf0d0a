#include "machine/placed_memory.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fail.h"
#include "ds4.h"
#include "machine/red_zone.h"
#include "machine/topology.h"

namespace ds4::machine {
namespace {

constexpr size_t kTwoMib = size_t(2) << 20;
constexpr size_t kOneGib = size_t(1) << 30;
// From <linux/mempolicy.h> and <linux/mman.h>, spelled out so that libnuma's headers are not
// needed.
constexpr int kBindStrictly = 2, kInterleave = 3;
constexpr int kHugeShift = 26;

size_t rounded_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

void bind_to_node(void *data, size_t bytes, int node) {
    unsigned long mask[16] = {};
    if (node >= int(sizeof mask * 8))
        fail(DS4_ERR_DEVICE_MEMORY, "NUMA node %d is beyond the 1024 nodes supported", node);
    mask[node / 64] = 1ul << (node % 64);
    if (syscall(SYS_mbind, data, bytes, kBindStrictly, mask, sizeof mask * 8, 0) != 0)
        fail(DS4_ERR_DEVICE_MEMORY, "cannot bind %zu bytes to NUMA node %d: %s", bytes, node,
             std::strerror(errno));
}

// Spreads pages over all nodes with memory. A kernel that refuses leaves them where they are first
// touched, which is only slower.
void spread_over_nodes(void *data, size_t bytes) {
    const int nodes = memory_nodes();
    if (nodes < 2 || nodes > 64) return;
    const unsigned long mask = nodes == 64 ? ~0ul : (1ul << nodes) - 1;
    syscall(SYS_mbind, data, bytes, kInterleave, &mask, sizeof mask * 8 + 1, 0);
}

uint64_t free_huge_bytes() {
    std::ifstream file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    uint64_t pages = 0;
    file >> pages;
    return pages * kTwoMib;
}

void *map_explicit(size_t bytes, int shift) {
    void *got = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (shift << kHugeShift), -1, 0);
    return got == MAP_FAILED ? nullptr : got;
}

} // namespace

Mapping::Mapping(size_t bytes, const Placement &placement) : bytes_(bytes) {
    if (bytes == 0) return;
    if (!map_huge(placement.huge)) map_pages(placement.huge);
    if (placement.node == kEveryNode) spread_over_nodes(base_, base_bytes_);
    if (placement.node >= 0) {
        try {
            bind_to_node(base_, base_bytes_, placement.node);
        } catch (...) {
            munmap(base_, base_bytes_);
            throw;
        }
    }
    forbid(data_ + bytes, size_t(static_cast<uint8_t *>(base_) + base_bytes_ - (data_ + bytes)));
}

// Maps from the system's pool of huge pages; false where ordinary pages serve as well. Throws when
// the caller wants huge pages and there are too few.
bool Mapping::map_huge(HugePages huge) {
    const size_t needed = bytes_ + kRedZoneBytes;
    const bool wanted = huge == HugePages::two_mib || huge == HugePages::one_gib;
    const bool offered =
        huge == HugePages::automatic && bytes_ >= kTwoMib && free_huge_bytes() >= bytes_ + kTwoMib;
    if (huge == HugePages::one_gib)
        base_ = map_explicit(base_bytes_ = rounded_up(needed, kOneGib), 30);
    else if (huge == HugePages::two_mib || offered)
        base_ = map_explicit(base_bytes_ = rounded_up(needed, kTwoMib), 21);
    data_ = static_cast<uint8_t *>(base_);
    if (base_ == nullptr && wanted)
        fail(DS4_ERR_DEVICE_MEMORY,
             "no %s huge pages for %zu bytes: configure hugetlb pages or use \"huge\":\"auto\"",
             huge == HugePages::two_mib ? "2 MiB" : "1 GiB", bytes_);
    return base_ != nullptr;
}

// Maps ordinary pages, which the kernel may join to transparent huge ones.
void Mapping::map_pages(HugePages huge) {
    const size_t page = size_t(sysconf(_SC_PAGESIZE));
    base_bytes_ = rounded_up(bytes_ + kRedZoneBytes, page) + (bytes_ >= kTwoMib ? kTwoMib : 0);
    base_ = mmap(nullptr, base_bytes_, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base_ == MAP_FAILED) {
        base_ = nullptr;
        fail(DS4_ERR_DEVICE_MEMORY, "cannot map %zu bytes: %s", bytes_, std::strerror(errno));
    }
    data_ = static_cast<uint8_t *>(base_);
    if (bytes_ < kTwoMib) return;
    data_ = reinterpret_cast<uint8_t *>(rounded_up(reinterpret_cast<uintptr_t>(base_), kTwoMib));
    madvise(data_, rounded_up(bytes_, page),
            huge == HugePages::off ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
}

Mapping::~Mapping() {
    if (base_ == nullptr) return;
    allow(base_, base_bytes_); // the address may be mapped again
    munmap(base_, base_bytes_);
}

PageUse page_use(const std::pair<const uint8_t *, size_t> *ranges, size_t count) {
    PageUse use;
    std::ifstream file("/proc/self/smaps");
    std::string line;
    bool ours = false;
    while (std::getline(file, line)) {
        unsigned long long begin = 0, end = 0, value = 0;
        char key[64];
        if (std::sscanf(line.c_str(), "%llx-%llx ", &begin, &end) == 2) {
            ours = false;
            for (size_t i = 0; i < count && !ours; i++) {
                const uint64_t data = reinterpret_cast<uintptr_t>(ranges[i].first);
                ours = data < end && data + ranges[i].second > begin;
            }
        } else if (ours && std::sscanf(line.c_str(), "%63[^:]: %llu kB", key, &value) == 2) {
            const std::string name = key;
            if (name == "Rss") use.resident_bytes += value * 1024;
            if (name == "AnonHugePages") use.huge_bytes += value * 1024;
            if (name == "Private_Hugetlb")
                use.resident_bytes += value * 1024, use.huge_bytes += value * 1024;
        }
    }
    return use;
}

} // namespace ds4::machine
