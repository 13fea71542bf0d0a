#include "model/mapped_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/fail.h"
#include "ds4.h"

namespace ds4 {

MappedFile::MappedFile(const std::string &path) : path_(path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) fail(DS4_ERR_IO, "cannot open %s: %s", path.c_str(), std::strerror(errno));
    struct stat facts{};
    if (::fstat(descriptor, &facts) != 0 || !S_ISREG(facts.st_mode)) {
        ::close(descriptor);
        fail(DS4_ERR_IO, "%s is not a regular file", path.c_str());
    }
    bytes_ = uint64_t(facts.st_size);
    device_ = facts.st_dev, inode_ = facts.st_ino, modified_ = facts.st_mtim.tv_sec;
    if (bytes_ != 0) {
        void *mapped = ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, descriptor, 0);
        const int reason = errno;
        ::close(descriptor);
        if (mapped == MAP_FAILED)
            fail(DS4_ERR_IO, "cannot map %llu bytes of %s: %s", (unsigned long long)bytes_,
                 path.c_str(), std::strerror(reason));
        data_ = static_cast<const uint8_t *>(mapped);
        try {
            guard_ = machine::LostPageGuard(data_, bytes_, path_);
        } catch (...) {
            ::munmap(mapped, bytes_);
            throw;
        }
    } else {
        ::close(descriptor);
    }
}

namespace {

void advise(const uint8_t *begin, const uint8_t *end, int advice) {
    const uintptr_t page = uintptr_t(::sysconf(_SC_PAGESIZE));
    const uintptr_t from = reinterpret_cast<uintptr_t>(begin) / page * page,
                    to = (reinterpret_cast<uintptr_t>(end) + page - 1) / page * page;
    ::madvise(reinterpret_cast<void *>(from), to - from,
              advice); // a refused advice changes nothing
}

} // namespace

void MappedFile::expect(const uint8_t *begin, const uint8_t *end) const {
    if (holds(begin, end)) advise(begin, end, MADV_WILLNEED);
}

// MADV_DONTNEED destroys the contents of private memory, so it is used for mapped bytes only.
void MappedFile::drop(const uint8_t *begin, const uint8_t *end) const {
    if (holds(begin, end)) advise(begin, end, MADV_DONTNEED);
}

void MappedFile::read_ahead(bool enabled) const {
    if (data_ != nullptr) advise(data_, data_ + bytes_, enabled ? MADV_NORMAL : MADV_RANDOM);
}

MappedFile::~MappedFile() {
    guard_ = machine::LostPageGuard(); // before its addresses can belong to another mapping
    if (data_ != nullptr) ::munmap(const_cast<uint8_t *>(data_), bytes_);
}

MappedFile::MappedFile(MappedFile &&other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)), device_(other.device_), inode_(other.inode_),
      modified_(other.modified_), guard_(std::move(other.guard_)) {}

bool MappedFile::has_changed() const {
    struct stat facts{};
    if (::stat(path_.c_str(), &facts) != 0 || facts.st_dev != device_ || facts.st_ino != inode_)
        return false;
    return uint64_t(facts.st_size) != bytes_ || facts.st_mtim.tv_sec != modified_;
}

void check_pages(const std::vector<MappedFile> &files) {
    for (const MappedFile &file : files)
        if (file.has_lost_pages())
            fail(
                DS4_ERR_IO,
                "%s has been truncated, or cannot be read, since it was opened; put the whole file "
                "in its place and load the model again",
                file.path().c_str());
}

void check_unchanged(const std::vector<MappedFile> &files) {
    check_pages(files);
    for (const MappedFile &file : files)
        if (file.has_changed())
            fail(DS4_ERR_IO,
                 "%s has been truncated or written to since it was opened; leave the file alone "
                 "while it loads, and load the model again",
                 file.path().c_str());
}

} // namespace ds4
