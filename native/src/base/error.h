// The exception of the library; the functions of api turn it into a status and a text.
#pragma once
#include <cstdint>
#include <stdexcept>

namespace ds4 {

class Error : public std::runtime_error {
  public:
    Error(int32_t status, const char *message) : std::runtime_error(message), status_(status) {}
    int32_t status() const { return status_; } // DS4_ERR_*

  private:
    int32_t status_;
};

} // namespace ds4
