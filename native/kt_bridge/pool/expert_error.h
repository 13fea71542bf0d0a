// Failures inside the library. Code throws ExpertError, and the API shims turn it into a code and a
// text.
#pragma once
#include <cstdarg>
#include <cstdio>
#include <stdexcept>
#include <string>

#include "kt_bridge.h"

namespace ds4::ktb {

class ExpertError : public std::runtime_error {
  public:
    ExpertError(int code, const std::string &message) : std::runtime_error(message), code_(code) {}
    int code() const { return code_; } // KTB_ERR_*

  private:
    int code_;
};

[[noreturn]] __attribute__((format(printf, 2, 3))) inline void fail(int code, const char *format,
                                                                    ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    throw ExpertError(code, text);
}

} // namespace ds4::ktb
