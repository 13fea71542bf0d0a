#include "machine/lost_pages.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "base/test.h"

namespace ds4::machine {
namespace {

constexpr uint64_t kPage = 4096;

// A file of pages, zeros or filled with a 1 at their beginning, and mappings of it.
class Truncatable {
  public:
    explicit Truncatable(uint64_t pages) : bytes_(pages * kPage) {
        char name[] = "/tmp/ds4-lost-pages-XXXXXX";
        file_ = ::mkstemp(name);
        path_ = name;
        CHECK(file_ >= 0 && ::ftruncate(file_, off_t(bytes_)) == 0);
    }
    ~Truncatable() {
        for (uint8_t *data : mapped_) ::munmap(data, bytes_);
        ::close(file_);
        ::unlink(path_.c_str());
    }
    void fill() const {
        const uint8_t one = 1;
        for (uint64_t at = 0; at < bytes_; at += kPage)
            CHECK(::pwrite(file_, &one, 1, off_t(at)) == 1);
    }
    const uint8_t *map() {
        void *data = ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, file_, 0);
        CHECK(data != MAP_FAILED);
        mapped_.push_back(static_cast<uint8_t *>(data));
        return mapped_.back();
    }
    void truncate(uint64_t pages) const { CHECK(::ftruncate(file_, off_t(pages * kPage)) == 0); }
    LostPageGuard guard(const uint8_t *data) const { return {data, bytes_, path_}; }
    const std::string &path() const { return path_; }

  private:
    uint64_t bytes_;
    std::string path_;
    int file_;
    std::vector<uint8_t *> mapped_;
};

} // namespace

TEST("a truncated file has more lost pages than a process may have mappings, and all are zeros") {
    constexpr uint64_t kPages = 160'000; // twice the limit of 65,530, and every second one is read
    Truncatable file(kPages);
    const uint8_t *data = file.map();
    const LostPageGuard guard = file.guard(data);
    file.truncate(0);
    CHECK(!guard.has_lost_pages() && lost_file_at(data) == "");
    uint64_t sum = 0;
    for (uint64_t page = 0; page < kPages; page += 2) sum += data[page * kPage];
    CHECK(sum == 0 && guard.has_lost_pages());
    CHECK(lost_file_at(data + 7 * kPage) == file.path() && lost_file_at(&file) == "");
}

TEST("the pages before a lost one stay, and other mappings of the process are untouched") {
    Truncatable file(64), other(64);
    file.fill(), other.fill();
    const uint8_t *data = file.map(), *beside = other.map();
    const LostPageGuard guard = file.guard(data), second = other.guard(beside);
    file.truncate(20);
    int ones = 0, of_other = 0;
    for (uint64_t page = 64; page-- > 0;) ones += data[page * kPage];
    for (uint64_t page = 0; page < 64; page++) of_other += beside[page * kPage];
    CHECK(ones == 20 && guard.has_lost_pages());
    CHECK(of_other == 64 && !second.has_lost_pages() && lost_file_at(beside) == "");
}

TEST("a process can guard more mappings than its first thousand, and places become free again") {
    Truncatable file(2);
    std::vector<const uint8_t *> mapped;
    for (int i = 0; i < 1500; i++) mapped.push_back(file.map());
    file.truncate(0);
    for (int round = 0; round < 2; round++) {
        std::vector<LostPageGuard> guards;
        for (const uint8_t *data : mapped) guards.push_back(file.guard(data));
        for (const LostPageGuard &guard : guards) CHECK(!guard.has_lost_pages());
        CHECK(mapped[size_t(1499 - round)][kPage] == 0 &&
              guards[size_t(1499 - round)].has_lost_pages());
        CHECK(!guards[0].has_lost_pages());
    }
}

TEST("whoever has read a zero in the place of a lost byte finds the file lost") {
    int unknown = 0;
    for (int round = 0; round < 200; round++) {
        Truncatable file(1);
        file.fill();
        const uint8_t *data = file.map();
        const LostPageGuard guard = file.guard(data);
        const auto read = [&] {
            while (*static_cast<const volatile uint8_t *>(data) == 1) {
            }
            return guard.has_lost_pages();
        };
        std::atomic<int> ready{0};
        std::thread reader([&] {
            ready = 1;
            if (!read()) ready = 2;
        });
        while (ready == 0) std::this_thread::yield();
        file.truncate(0);
        if (!read()) unknown++;
        reader.join();
        unknown += ready == 2 ? 1 : 0;
    }
    CHECK(unknown == 0);
}

} // namespace ds4::machine
