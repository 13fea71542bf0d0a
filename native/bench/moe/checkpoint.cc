#include "moe/checkpoint.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <stdexcept>
#include <unistd.h>

namespace ds4::bench {
namespace {

constexpr const char *kMatrixNames[3] = {"w1", "w3", "w2"}; // gate, up, down

[[noreturn]] void failed(const std::string &what, const std::string &path) {
    throw std::runtime_error("cannot " + what + " " + path + ": " + std::strerror(errno));
}

class File {
  public:
    explicit File(const std::string &path)
        : path_(path), file_(open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600)) {
        if (file_ < 0) failed("create", path);
    }
    ~File() { close(file_); }
    File(const File &) = delete;
    void write(const void *data, size_t bytes) {
        for (const char *at = static_cast<const char *>(data); bytes > 0;) {
            const ssize_t wrote = ::write(file_, at, bytes);
            if (wrote < 0 && errno == EINTR) continue;
            if (wrote <= 0) failed("write", path_);
            at += wrote, bytes -= size_t(wrote);
        }
    }
    void sync() { // pages that are still being written would slow the reads down
        if (fsync(file_) != 0) failed("write", path_);
    }

  private:
    std::string path_;
    int file_;
};

std::string tensor_entry(const std::string &name, const char *dtype, int rows, int cols,
                         size_t &at) {
    const size_t begin = at;
    at += size_t(rows) * size_t(cols);
    return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":[" + std::to_string(rows) +
           "," + std::to_string(cols) + "],\"data_offsets\":[" + std::to_string(begin) + "," +
           std::to_string(at) + "]}";
}

} // namespace

Checkpoint::Checkpoint(const std::string &parent, const Shape &shape, int layers,
                       const SourceExperts &source) {
    std::string pattern = parent + "/kt_moe_bench-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) failed("create a folder in", parent);
    folder_ = pattern;
    try {
        for (int layer = 0; layer < layers; layer++) {
            shards_.push_back(folder_ + "/layer-" + std::to_string(layer) + ".safetensors");
            write_shard(shards_.back(), shape, layer, source);
        }
    } catch (...) {
        remove();
        throw;
    }
}

Checkpoint::~Checkpoint() { remove(); }

void Checkpoint::remove() const {
    for (const std::string &shard : shards_) unlink(shard.c_str());
    rmdir(folder_.c_str());
}

void Checkpoint::write_shard(const std::string &path, const Shape &shape, int layer,
                             const SourceExperts &source) {
    std::string header = "{";
    size_t at = 0;
    for (int expert = 0; expert < shape.experts; expert++)
        for (int matrix = 0; matrix < 3; matrix++) {
            const std::string name = "layers." + std::to_string(layer) + ".ffn.experts." +
                                     std::to_string(expert) + "." + kMatrixNames[matrix];
            const int rows = matrix == 2 ? shape.hidden : shape.intermediate,
                      cols = matrix == 2 ? shape.intermediate : shape.hidden;
            if (at > 0) header += ",";
            header += tensor_entry(name + ".weight", "I8", rows, cols / 2, at) + ",";
            header += tensor_entry(name + ".scale", "F8_E8M0", rows, cols / 32, at);
        }
    header += "}";
    header.resize((header.size() + 7) / 8 * 8, ' ');
    const uint64_t length = header.size();
    File file(path);
    file.write(&length, sizeof length);
    file.write(header.data(), header.size());
    for (int expert = 0; expert < shape.experts; expert++)
        for (int matrix = 0; matrix < 3; matrix++) {
            file.write(source.codes(expert, matrix).data(), source.codes(expert, matrix).size());
            file.write(source.scales(expert, matrix).data(), source.scales(expert, matrix).size());
        }
    file.sync();
}

} // namespace ds4::bench
