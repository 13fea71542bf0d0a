// Reads of a mapped file that has been truncated, or whose disk fails, raise SIGBUS. For registered
// files a handler puts a page of zeros in the place of the lost one and remembers the file. The
// reader goes on, and its step can end with an error.
#pragma once
#include <cstdint>

namespace ds4 {

// Registers a mapping for its life. Threads: any. A process can hold 1024 of them; further ones
// have no guard, and a lost page of theirs is the signal that it always was.
class LostPageGuard {
  public:
    LostPageGuard() = default;
    LostPageGuard(const uint8_t *data, uint64_t bytes);
    ~LostPageGuard();
    LostPageGuard(LostPageGuard &&other) noexcept;
    LostPageGuard &operator=(LostPageGuard &&other) noexcept;

    bool has_lost_pages() const;

  private:
    void release() noexcept;
    int slot_ = -1;
};

} // namespace ds4
