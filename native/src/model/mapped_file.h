// A regular file mapped read-only for the life of the object.
#pragma once
#include <cstdint>
#include <string>

namespace ds4 {

class MappedFile {
  public:
    // Throws Error(DS4_ERR_IO) with the path and the system's reason.
    explicit MappedFile(const std::string &path);
    ~MappedFile();
    MappedFile(MappedFile &&other) noexcept;
    MappedFile(const MappedFile &) = delete;
    MappedFile &operator=(const MappedFile &) = delete;

    const std::string &path() const { return path_; }
    const uint8_t *data() const { return data_; }
    uint64_t bytes() const { return bytes_; }

  private:
    std::string path_;
    const uint8_t *data_ = nullptr;
    uint64_t bytes_ = 0;
};

} // namespace ds4
