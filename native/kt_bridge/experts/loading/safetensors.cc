#include "experts/loading/safetensors.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "experts/loading/safetensors_header.h"
#include "pool/expert_error.h"

namespace ds4::ktb {
namespace {

std::vector<std::string> shard_paths(const std::string &folder) {
    DIR *directory = opendir(folder.c_str());
    if (directory == nullptr)
        fail(KTB_ERR_IO, "cannot open folder %s: %s", folder.c_str(), std::strerror(errno));
    std::vector<std::string> names;
    while (const dirent *entry = readdir(directory)) {
        const std::string name = entry->d_name;
        const std::string suffix = ".safetensors";
        if (name.size() > suffix.size() &&
            name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0)
            names.push_back(folder + "/" + name);
    }
    closedir(directory);
    if (names.empty()) fail(KTB_ERR_IO, "no *.safetensors file in %s", folder.c_str());
    std::sort(names.begin(), names.end());
    return names;
}

} // namespace

Safetensors::Safetensors(const std::string &folder) : folder_(folder) {
    try {
        for (const std::string &path : shard_paths(folder)) open_shard(path);
    } catch (...) {
        close();
        throw;
    }
}

Safetensors::~Safetensors() { close(); }

void Safetensors::close() {
    for (Shard &shard : shards_) {
        shard.guard = {}; // before its addresses can belong to another mapping
        if (shard.map != nullptr) munmap(shard.map, shard.bytes);
        if (shard.file >= 0) ::close(shard.file);
    }
    shards_.clear();
}

void Safetensors::open_shard(const std::string &path) {
    const int index = int(shards_.size());
    shards_.push_back({path});
    Shard &shard = shards_.back();
    shard.file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    if (shard.file < 0 || fstat(shard.file, &status) != 0)
        fail(KTB_ERR_IO, "cannot open %s: %s", path.c_str(), std::strerror(errno));
    if (!S_ISREG(status.st_mode)) fail(KTB_ERR_FORMAT, "%s is not a regular file", path.c_str());
    shard.bytes = uint64_t(status.st_size);
    for (HeaderTensor &tensor : read_safetensors_header(header_text(index), path, shard.bytes)) {
        const auto [place, is_new] = tensors_.try_emplace(
            tensor.name, Tensor{std::move(tensor.dtype), std::move(tensor.shape), index,
                                tensor.offset, tensor.bytes});
        if (!is_new)
            fail(KTB_ERR_FORMAT, "%s: tensor %s appears twice in %s", path.c_str(),
                 place->first.c_str(), folder_.c_str());
    }
    void *map = mmap(nullptr, shard.bytes, PROT_READ, MAP_PRIVATE, shard.file, 0);
    if (map == MAP_FAILED)
        fail(KTB_ERR_IO, "cannot map %s: %s", path.c_str(), std::strerror(errno));
    shard.map = static_cast<uint8_t *>(map);
    shard.guard = machine::LostPageGuard(shard.map, shard.bytes, path);
}

std::string Safetensors::header_text(int index) const {
    const Shard &shard = shards_[size_t(index)];
    if (shard.bytes < kHeaderLengthBytes)
        fail(KTB_ERR_FORMAT,
             "%s has %llu bytes; a safetensors file begins with an 8-byte header length",
             shard.path.c_str(), (unsigned long long)shard.bytes);
    uint8_t bytes[kHeaderLengthBytes];
    read(index, 0, sizeof bytes, bytes);
    uint64_t length = 0;
    std::memcpy(&length, bytes, sizeof length);
    if (length > kMaximumHeaderBytes || length > shard.bytes - kHeaderLengthBytes)
        fail(KTB_ERR_FORMAT,
             "%s: header length %llu does not fit a file of %llu bytes (limit %llu)",
             shard.path.c_str(), (unsigned long long)length, (unsigned long long)shard.bytes,
             (unsigned long long)kMaximumHeaderBytes);
    std::string text(length, '\0');
    read(index, kHeaderLengthBytes, length, reinterpret_cast<uint8_t *>(text.data()));
    return text;
}

const Tensor *Safetensors::find(const std::string &name) const {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second;
}

void Safetensors::read(int shard, uint64_t offset, uint64_t bytes, uint8_t *out) const {
    const Shard &file = shards_[size_t(shard)];
    while (bytes > 0) {
        const ssize_t got = pread(file.file, out, bytes, off_t(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            fail(KTB_ERR_IO, "cannot read %s: %s", file.path.c_str(), std::strerror(errno));
        if (got == 0)
            fail(KTB_ERR_IO, "%s ended at byte %llu: it has become shorter since it was opened",
                 file.path.c_str(), (unsigned long long)offset);
        out += got, offset += uint64_t(got), bytes -= uint64_t(got);
    }
}

// Whether pages at the ends and in the middle are in the page cache. Asking for all pages would
// walk over them, which costs 57 us for 4 MiB; the read itself takes 400.
bool Safetensors::is_cached(const Tensor &tensor) const {
    if (tensor.bytes == 0) return true;
    for (const uint64_t at : {uint64_t(0), tensor.bytes / 2, tensor.bytes - 1}) {
        uint8_t byte;
        const iovec target{&byte, 1};
        if (preadv2(shards_[size_t(tensor.shard)].file, &target, 1, off_t(tensor.offset + at),
                    RWF_NOWAIT) != 1)
            return false;
    }
    return true;
}

void Safetensors::prefetch(const Tensor &tensor) const {
    if (is_cached(tensor)) return;
    posix_fadvise(shards_[size_t(tensor.shard)].file, off_t(tensor.offset), off_t(tensor.bytes),
                  POSIX_FADV_WILLNEED);
}

void Safetensors::forget(const Tensor &tensor) const {
    posix_fadvise(shards_[size_t(tensor.shard)].file, off_t(tensor.offset), off_t(tensor.bytes),
                  POSIX_FADV_DONTNEED);
}

} // namespace ds4::ktb
