// Memory that nobody may touch: gaps between mappings, and between buffers carved out of one.
// AddressSanitizer does not know them by itself. Without the sanitizer there are none.
#pragma once
#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace ds4::machine {

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kRedZoneBytes = 64; // behind each buffer
inline void forbid(const void *begin, size_t bytes) { __asan_poison_memory_region(begin, bytes); }
inline void allow(const void *begin, size_t bytes) { __asan_unpoison_memory_region(begin, bytes); }
#else
constexpr size_t kRedZoneBytes = 0;
inline void forbid(const void *, size_t) {}
inline void allow(const void *, size_t) {}
#endif

} // namespace ds4::machine
