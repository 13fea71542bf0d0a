// fail() throws an Error. This header is light: a file that only reports errors needs nothing else.
#pragma once
#include <cstdint>

namespace ds4 {

// Throws Error with this status (DS4_ERR_*) and a text of at most 1023 bytes, made as by printf.
[[noreturn]] __attribute__((format(printf, 2, 3))) void fail(int32_t status, const char *format,
                                                             ...);

} // namespace ds4
