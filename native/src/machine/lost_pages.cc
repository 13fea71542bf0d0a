#include "machine/lost_pages.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

namespace ds4::machine {

// The handler reads a slot without a lock. Begin and size belong together, so their version tells
// whether the slot changed in between; it is odd while it does. A slot of 0 bytes is free.
class LostPageSlot {
  public:
    // The caller holds slots_mutex for these.
    bool is_free() const { return bytes_.load(std::memory_order_relaxed) == 0; }
    void set(uintptr_t begin, uint64_t bytes, std::string path) {
        path_ = std::move(path);
        // Whoever sees one of the new values sees the odd version too.
        version_.fetch_add(1, std::memory_order_relaxed);
        begin_.store(begin, std::memory_order_release);
        bytes_.store(bytes, std::memory_order_release);
        if (bytes != 0) lost.store(false, std::memory_order_relaxed);
        version_.fetch_add(1, std::memory_order_release);
    }
    const std::string &path() const { return path_; }

    // Bytes of the mapping from the address on; 0 if it holds none. A mapping that is registered
    // throughout the call is always seen.
    uint64_t bytes_from(uintptr_t address) const {
        const uint32_t before = version_.load(std::memory_order_acquire);
        const uintptr_t first = begin_.load(std::memory_order_acquire);
        const uint64_t count = bytes_.load(std::memory_order_acquire);
        const bool unchanged =
            before % 2 == 0 && version_.load(std::memory_order_relaxed) == before;
        if (!unchanged || address < first || address - first >= count) return 0;
        return count - (address - first);
    }

    std::atomic<bool> lost{false};

  private:
    std::atomic<uint32_t> version_{0};
    std::atomic<uintptr_t> begin_{0};
    std::atomic<uint64_t> bytes_{0};
    std::string path_;
};

namespace {

// Blocks of slots follow each other and stay for the process's life: a handler may read them at any
// moment.
struct SlotBlock {
    LostPageSlot slots[256];
    std::atomic<SlotBlock *> next{nullptr};
};
SlotBlock first_block;
std::mutex slots_mutex; // of threads that register
struct sigaction previous{};
uintptr_t page_bytes = 4096;

// Visits slots until one is taken.
template <typename Take> LostPageSlot *find_slot(const Take &take) {
    for (SlotBlock *block = &first_block; block != nullptr;
         block = block->next.load(std::memory_order_acquire))
        for (LostPageSlot &slot : block->slots)
            if (take(slot)) return &slot;
    return nullptr;
}

// The caller holds slots_mutex.
LostPageSlot &free_slot() {
    if (LostPageSlot *slot = find_slot([](const LostPageSlot &s) { return s.is_free(); }))
        return *slot;
    auto block = std::make_unique<SlotBlock>();
    SlotBlock *last = &first_block;
    while (SlotBlock *next = last->next.load(std::memory_order_relaxed)) last = next;
    last->next.store(block.get(), std::memory_order_release);
    return block.release()->slots[0];
}

// Only calls that are safe in a signal handler. The system call itself, since a sanitizer would
// take its wrapper for a write to the pages. All pages up to the end go at once. A mapping for each
// page would meet the limit of mappings in a process, and a signal for each takes minutes.
bool replace_lost_pages(uintptr_t address) {
    uint64_t bytes = 0;
    LostPageSlot *slot =
        find_slot([&](const LostPageSlot &s) { return (bytes = s.bytes_from(address)) != 0; });
    if (slot == nullptr) return false;
    slot->lost.store(true, std::memory_order_release); // before another thread can read the zeros
    const uintptr_t page = address / page_bytes * page_bytes;
    return ::syscall(SYS_mmap, page, bytes + (address - page), PROT_READ,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != -1;
}

void on_bus_error(int signal, siginfo_t *info, void *context) {
    if (replace_lost_pages(reinterpret_cast<uintptr_t>(info->si_addr))) return;
    if ((previous.sa_flags & SA_SIGINFO) != 0 && previous.sa_sigaction != nullptr)
        return previous.sa_sigaction(signal, info, context);
    if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN &&
        previous.sa_handler != nullptr)
        return previous.sa_handler(signal);
    ::signal(SIGBUS, SIG_DFL); // the faulting read repeats and ends the process
}

void install_once() {
    static const bool installed = [] {
        page_bytes = uintptr_t(::sysconf(_SC_PAGESIZE));
        struct sigaction action{};
        action.sa_sigaction = on_bus_error;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
        ::sigemptyset(&action.sa_mask);
        return ::sigaction(SIGBUS, &action, &previous) == 0;
    }();
    static_cast<void>(installed);
}

} // namespace

LostPageGuard::LostPageGuard(const uint8_t *data, uint64_t bytes, const std::string &path) {
    if (bytes == 0) return;
    install_once();
    const std::lock_guard lock(slots_mutex);
    LostPageSlot &slot = free_slot();
    slot.set(reinterpret_cast<uintptr_t>(data), bytes, path);
    slot_ = &slot;
}

void LostPageGuard::release() noexcept {
    if (slot_ == nullptr) return;
    const std::lock_guard lock(slots_mutex);
    slot_->set(0, 0, {});
    slot_ = nullptr;
}

LostPageGuard::~LostPageGuard() { release(); }

LostPageGuard::LostPageGuard(LostPageGuard &&other) noexcept
    : slot_(std::exchange(other.slot_, nullptr)) {}

LostPageGuard &LostPageGuard::operator=(LostPageGuard &&other) noexcept {
    if (this == &other) return *this;
    release();
    slot_ = std::exchange(other.slot_, nullptr);
    return *this;
}

bool LostPageGuard::has_lost_pages() const {
    return slot_ != nullptr && slot_->lost.load(std::memory_order_acquire);
}

std::string lost_file_at(const void *address) {
    const std::lock_guard lock(slots_mutex);
    const LostPageSlot *slot = find_slot([&](const LostPageSlot &s) {
        return s.lost.load(std::memory_order_acquire) &&
               s.bytes_from(reinterpret_cast<uintptr_t>(address)) != 0;
    });
    return slot == nullptr ? "" : slot->path();
}

} // namespace ds4::machine
