// Errors inside the library: throw Error, and the functions of api turn it into a status and a
// text.
#pragma once
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "ds4.h"

namespace ds4 {

class Error : public std::runtime_error {
  public:
    Error(ds4_status status, const std::string &message)
        : std::runtime_error(message), status_(status) {}
    ds4_status status() const { return status_; }

  private:
    ds4_status status_;
};

[[noreturn]] __attribute__((format(printf, 2, 3))) inline void fail(ds4_status status,
                                                                    const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    throw Error(status, text);
}

// Ends the process on a broken invariant. It is a bug of ours, never the fault of a caller or a
// file.
#define DS4_ASSERT(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            std::fprintf(stderr, "%s:%d: broken invariant: %s\n", __FILE__, __LINE__, #condition); \
            std::abort();                                                                          \
        }                                                                                          \
    } while (0)

} // namespace ds4
