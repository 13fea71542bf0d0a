// A regular file mapped read-only for the life of the object.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "machine/lost_pages.h"

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
    // failed. That page and all that follow read as zeros.
    bool has_lost_pages() const { return guard_.has_lost_pages(); }
    // Whether the mapped file has another size or time of modification than when it was opened.
    // Another file in its place does not count.
    bool has_changed() const;
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
    uint64_t device_ = 0, inode_ = 0;
    int64_t modified_ = 0; // seconds: file systems differ in what they keep below
    machine::LostPageGuard guard_;
};

// Throws Error(DS4_ERR_IO) with the path of a file that has lost pages.
void check_pages(const std::vector<MappedFile> &files);
// The same, and for a file that has been written to since it was opened.
void check_unchanged(const std::vector<MappedFile> &files);

} // namespace ds4
