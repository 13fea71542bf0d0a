// A regular file mapped read-only for the life of the object.
#pragma once
#include <cstdint>
#include <string>

#include "model/lost_pages.h"

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
    // Whether a read has met a page that is no longer there: the file was truncated, or its disk
    // failed. Such pages read as zeros.
    bool has_lost_pages() const { return guard_.has_lost_pages(); }
    bool holds(const uint8_t *begin, const uint8_t *end) const {
        return data_ != nullptr && begin >= data_ && end <= data_ + bytes_ && begin < end;
    }
    // Advises the system that mapped bytes of this file are about to be read, or not needed for
    // long. Dropped bytes stay valid: a read takes them from the file again.
    void expect(const uint8_t *begin, const uint8_t *end) const;
    void drop(const uint8_t *begin, const uint8_t *end) const;
    // Whether a read of a page takes its neighbours from the file too, as it does at first.
    void read_ahead(bool enabled) const;

  private:
    std::string path_;
    const uint8_t *data_ = nullptr;
    uint64_t bytes_ = 0;
    LostPageGuard guard_;
};

} // namespace ds4
