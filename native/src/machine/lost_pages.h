// Reads of a mapped file that has been truncated, or whose disk fails, raise SIGBUS. For registered
// files a handler puts zeros in the place of the lost page and of all that follow, and remembers
// the file. The reader goes on, and its work can end with an error.
#pragma once
#include <cstdint>
#include <string>

namespace ds4::machine {

class LostPageSlot;

// Registers a mapping for its life. Threads: any. A thread that blocks SIGBUS has no guard: see
// base/blocked_signals.h.
class LostPageGuard {
  public:
    LostPageGuard() = default;
    // path: of the file, for messages. Throws std::bad_alloc.
    LostPageGuard(const uint8_t *data, uint64_t bytes, const std::string &path);
    ~LostPageGuard();
    LostPageGuard(LostPageGuard &&other) noexcept;
    LostPageGuard &operator=(LostPageGuard &&other) noexcept;

    // Whoever has read a zero in the place of a lost byte gets true.
    bool has_lost_pages() const;

  private:
    void release() noexcept;
    LostPageSlot *slot_ = nullptr;
};

// The path of the registered file that holds the address, if it has lost pages; else empty.
std::string lost_file_at(const void *address);

} // namespace ds4::machine
