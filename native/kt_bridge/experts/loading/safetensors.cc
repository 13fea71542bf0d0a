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

#include "experts/loading/json_reader.h"
#include "pool/expert_error.h"

namespace ds4::ktb {
namespace {

constexpr uint64_t kMaximumHeaderBytes = 100u << 20; // the format's own limit
constexpr size_t kMaximumDimensions = 8;

struct DtypeBytes {
    const char *name;
    uint64_t bytes;
};
constexpr DtypeBytes kDtypes[] = {{"BOOL", 1},    {"U8", 1},      {"I8", 1},  {"F8_E4M3", 1},
                                  {"F8_E5M2", 1}, {"F8_E8M0", 1}, {"I16", 2}, {"U16", 2},
                                  {"F16", 2},     {"BF16", 2},    {"I32", 4}, {"U32", 4},
                                  {"F32", 4},     {"F64", 8},     {"I64", 8}, {"U64", 8}};

uint64_t dtype_bytes(const std::string &name) {
    for (const DtypeBytes &known : kDtypes)
        if (name == known.name) return known.bytes;
    return 0;
}

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
        if (shard.map != nullptr) munmap(shard.map, shard.bytes);
        if (shard.file >= 0) ::close(shard.file);
    }
    shards_.clear();
}

void Safetensors::open_shard(const std::string &path) {
    const int index = int(shards_.size());
    shards_.push_back({path, -1, 0, nullptr});
    Shard &shard = shards_.back();
    shard.file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    if (shard.file < 0 || fstat(shard.file, &status) != 0)
        fail(KTB_ERR_IO, "cannot open %s: %s", path.c_str(), std::strerror(errno));
    if (!S_ISREG(status.st_mode)) fail(KTB_ERR_FORMAT, "%s is not a regular file", path.c_str());
    shard.bytes = uint64_t(status.st_size);
    uint8_t length_bytes[8];
    if (shard.bytes < 8)
        fail(KTB_ERR_FORMAT,
             "%s has %llu bytes; a safetensors file begins with an 8-byte header length",
             path.c_str(), (unsigned long long)shard.bytes);
    read(index, 0, 8, length_bytes);
    uint64_t length = 0;
    std::memcpy(&length, length_bytes, 8);
    if (length < 2 || length > kMaximumHeaderBytes || length > shard.bytes - 8)
        fail(KTB_ERR_FORMAT,
             "%s: header length %llu does not fit a file of %llu bytes (limit %llu)", path.c_str(),
             (unsigned long long)length, (unsigned long long)shard.bytes,
             (unsigned long long)kMaximumHeaderBytes);
    std::string text(length, '\0');
    read(index, 8, length, reinterpret_cast<uint8_t *>(text.data()));
    read_header(text, index, 8 + length);
    void *map = mmap(nullptr, shard.bytes, PROT_READ, MAP_PRIVATE, shard.file, 0);
    if (map == MAP_FAILED)
        fail(KTB_ERR_IO, "cannot map %s: %s", path.c_str(), std::strerror(errno));
    shard.map = static_cast<uint8_t *>(map);
}

void Safetensors::read_header(const std::string &text, int shard, uint64_t data_begin) {
    const std::string &path = shards_[size_t(shard)].path;
    const uint64_t data_bytes = shards_[size_t(shard)].bytes - data_begin;
    struct Range {
        uint64_t begin, end;
        std::string name;
    };
    std::vector<Range> ranges;
    JsonReader json(text, path + ": header");
    json.enter_object();
    std::string name, key;
    while (json.next_key(name)) {
        if (name == "__metadata__") {
            json.skip();
            continue;
        }
        Tensor tensor{"", {}, shard, 0, 0};
        int64_t begin = -1, end = -1;
        json.enter_object();
        while (json.next_key(key)) {
            if (key == "dtype") {
                tensor.dtype = json.string();
            } else if (key == "shape") {
                json.enter_array();
                while (json.next_item()) tensor.shape.push_back(json.integer());
            } else if (key == "data_offsets") {
                json.enter_array();
                if (json.next_item()) begin = json.integer();
                if (json.next_item()) end = json.integer();
                if (json.next_item()) json.error("two data offsets");
            } else {
                json.skip();
            }
        }
        const char *tensor_name = name.c_str();
        if (begin < 0 || end < begin)
            fail(KTB_ERR_FORMAT, "%s: %s has data_offsets [%lld, %lld]", path.c_str(), tensor_name,
                 (long long)begin, (long long)end);
        if (uint64_t(end) > data_bytes)
            fail(KTB_ERR_FORMAT,
                 "%s is truncated: %s ends at byte %lld of the data, the file has %llu",
                 path.c_str(), tensor_name, (long long)end, (unsigned long long)data_bytes);
        uint64_t expected = dtype_bytes(tensor.dtype);
        if (expected == 0)
            fail(KTB_ERR_FORMAT, "%s: %s has unknown dtype \"%s\"", path.c_str(), tensor_name,
                 tensor.dtype.c_str());
        if (tensor.shape.size() > kMaximumDimensions)
            fail(KTB_ERR_FORMAT, "%s: %s has %zu dimensions, at most 8 are expected", path.c_str(),
                 tensor_name, tensor.shape.size());
        for (int64_t size : tensor.shape)
            if (size < 0 || __builtin_mul_overflow(expected, uint64_t(size), &expected))
                fail(KTB_ERR_FORMAT, "%s: %s has an impossible shape", path.c_str(), tensor_name);
        tensor.bytes = uint64_t(end - begin);
        if (tensor.bytes != expected)
            fail(KTB_ERR_FORMAT, "%s: %s occupies %llu bytes, its shape and dtype need %llu",
                 path.c_str(), tensor_name, (unsigned long long)tensor.bytes,
                 (unsigned long long)expected);
        tensor.offset = data_begin + uint64_t(begin);
        if (tensor.bytes > 0) ranges.push_back({uint64_t(begin), uint64_t(end), name});
        if (!tensors_.emplace(name, tensor).second)
            fail(KTB_ERR_FORMAT, "%s: tensor %s appears twice in %s", path.c_str(), tensor_name,
                 folder_.c_str());
    }
    json.end();
    std::sort(ranges.begin(), ranges.end(),
              [](const Range &a, const Range &b) { return a.begin < b.begin; });
    for (size_t i = 1; i < ranges.size(); i++)
        if (ranges[i].begin < ranges[i - 1].end)
            fail(KTB_ERR_FORMAT, "%s: %s and %s overlap", path.c_str(), ranges[i - 1].name.c_str(),
                 ranges[i].name.c_str());
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

// Pages at the ends and in the middle are in the page cache: asking for all of them would only walk
// over them, which costs 57 us for 4 MiB where the read itself takes 400.
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
