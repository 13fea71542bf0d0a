#include "model/lost_pages.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <utility>

namespace ds4 {
namespace {

// The handler reads a slot without a lock. Begin and size belong together, so their version tells
// whether the slot changed in between; it is odd while it does. A slot of 0 bytes is free.
struct Slot {
    std::atomic<uint32_t> version{0};
    std::atomic<uintptr_t> begin{0};
    std::atomic<uint64_t> bytes{0};
    std::atomic<bool> lost{false};

    // The caller holds slots_mutex.
    void set(uintptr_t new_begin, uint64_t new_bytes) {
        // Whoever sees one of the new values sees the odd version too.
        version.fetch_add(1, std::memory_order_relaxed);
        begin.store(new_begin, std::memory_order_release);
        bytes.store(new_bytes, std::memory_order_release);
        if (new_bytes != 0) lost.store(false, std::memory_order_relaxed);
        version.fetch_add(1, std::memory_order_release);
    }
    // A mapping that is registered throughout the call is always seen.
    bool holds(uintptr_t address) const {
        const uint32_t before = version.load(std::memory_order_acquire);
        const uintptr_t first = begin.load(std::memory_order_acquire);
        const uint64_t count = bytes.load(std::memory_order_acquire);
        const bool unchanged = before % 2 == 0 && version.load(std::memory_order_relaxed) == before;
        return unchanged && address >= first && address - first < count;
    }
};
constexpr int kSlots = 1024;
Slot slots[kSlots];
std::mutex slots_mutex; // of threads that register
struct sigaction previous{};
uintptr_t page_bytes = 4096;

// Only calls that are safe in a signal handler. The system call itself, since a sanitizer would
// take its wrapper for a write to the page.
bool replace_lost_page(uintptr_t address) {
    for (Slot &slot : slots) {
        if (!slot.holds(address)) continue;
        void *page = reinterpret_cast<void *>(address / page_bytes * page_bytes);
        if (::syscall(SYS_mmap, page, page_bytes, PROT_READ,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == -1)
            return false;
        slot.lost.store(true, std::memory_order_release);
        return true;
    }
    return false;
}

void on_bus_error(int signal, siginfo_t *info, void *context) {
    if (replace_lost_page(reinterpret_cast<uintptr_t>(info->si_addr))) return;
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

LostPageGuard::LostPageGuard(const uint8_t *data, uint64_t bytes) {
    if (bytes == 0) return;
    install_once();
    const std::lock_guard lock(slots_mutex);
    for (int i = 0; i < kSlots && slot_ < 0; i++) {
        if (slots[i].bytes.load(std::memory_order_relaxed) != 0) continue;
        slots[i].set(reinterpret_cast<uintptr_t>(data), bytes);
        slot_ = i;
    }
}

void LostPageGuard::release() noexcept {
    if (slot_ < 0) return;
    const std::lock_guard lock(slots_mutex);
    slots[slot_].set(0, 0);
    slot_ = -1;
}

LostPageGuard::~LostPageGuard() { release(); }

LostPageGuard::LostPageGuard(LostPageGuard &&other) noexcept
    : slot_(std::exchange(other.slot_, -1)) {}

LostPageGuard &LostPageGuard::operator=(LostPageGuard &&other) noexcept {
    if (this == &other) return *this;
    release();
    slot_ = std::exchange(other.slot_, -1);
    return *this;
}

bool LostPageGuard::has_lost_pages() const {
    return slot_ >= 0 && slots[slot_].lost.load(std::memory_order_acquire);
}

} // namespace ds4
