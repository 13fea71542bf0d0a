// A folder of safetensors shards. It maps names to places in files, and checks every place against
// its file when it is opened.
#pragma once
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "machine/lost_pages.h"

namespace ds4::ktb {

struct Tensor {
    std::string dtype; // as in the header: "I8", "F8_E8M0", ...
    std::vector<uint64_t> shape;
    int shard;
    uint64_t offset; // from the start of the file
    uint64_t bytes;
};

class Safetensors {
  public:
    // Throws ExpertError, which names the file and the tensor, for anything unreadable, malformed,
    // overlapping or duplicated.
    explicit Safetensors(const std::string &folder);
    ~Safetensors();
    Safetensors(const Safetensors &) = delete;

    const Tensor *find(const std::string &name) const; // nullptr when absent
    size_t size() const { return tensors_.size(); }    // number of tensors
    const std::string &path(int shard) const { return shards_[size_t(shard)].path; }
    const std::string &folder() const { return folder_; }
    // Reads a whole range into `out`. Throws naming the file when it has become shorter. Thread:
    // any.
    void read(int shard, uint64_t offset, uint64_t bytes, uint8_t *out) const;
    // Bytes of a tensor in a private mapping of its file. Where the file has become shorter they
    // read as zeros, and loads from there are refused.
    const uint8_t *mapped(const Tensor &tensor) const {
        return shards_[size_t(tensor.shard)].map + tensor.offset;
    }
    // Starts reading a tensor into the page cache unless it is there, and drops it from there.
    void prefetch(const Tensor &tensor) const;
    void forget(const Tensor &tensor) const;

  private:
    bool is_cached(const Tensor &tensor) const;
    struct Shard {
        std::string path;
        int file = -1;
        uint64_t bytes = 0;
        uint8_t *map = nullptr;
        machine::LostPageGuard guard = {};
    };
    void open_shard(const std::string &path);
    std::string header_text(int shard) const;
    void close();

    std::string folder_;
    std::vector<Shard> shards_;
    std::unordered_map<std::string, Tensor> tensors_;
};

} // namespace ds4::ktb
