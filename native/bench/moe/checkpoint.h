// A folder of safetensors with random experts, named and laid out as the official checkpoint. The
// destructor removes it.
#pragma once
#include <string>
#include <vector>

#include "moe/expert_layers.h"

namespace ds4::bench {

class Checkpoint {
  public:
    // One shard a layer, written to storage before the constructor returns. Throws
    // std::runtime_error.
    Checkpoint(const std::string &parent, const Shape &shape, int layers,
               const SourceExperts &source);
    ~Checkpoint();
    Checkpoint(const Checkpoint &) = delete;
    const std::string &folder() const { return folder_; }
    const std::vector<std::string> &shards() const { return shards_; }

  private:
    void write_shard(const std::string &path, const Shape &shape, int layer,
                     const SourceExperts &source);
    void remove() const;
    std::string folder_;
    std::vector<std::string> shards_;
};

} // namespace ds4::bench
