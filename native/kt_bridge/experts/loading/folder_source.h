// Expert weights in a folder of safetensors.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "experts/loading/expert_source.h"
#include "experts/loading/safetensors.h"

namespace ds4::ktb {

// {model.,}layers.{layer}.ffn.experts.{e}.w{1,3,2}.{weight,scale}
class FolderSource : public ExpertSource {
  public:
    // Throws when a tensor is missing or has another dtype or shape; the message names it, the
    // expected and the actual form. drop_pages: drops file pages from the cache once they are
    // packed.
    FolderSource(const SourceShape &shape, const Safetensors &folder, int layer, const int64_t *map,
                 bool drop_pages);
    const uint8_t *codes(int expert, int matrix, int begin, int rows,
                         uint8_t *staging) const override;
    const uint8_t *scales(int expert, int matrix, int begin, int rows,
                          uint8_t *staging) const override;
    std::string name(int expert, int matrix) const override;
    ScaleFormat scale_format(int matrix) const override { return formats_[matrix]; }
    void begin_expert(int expert) const override;
    void end_expert(int expert) const override;

  private:
    void find_matrices(int matrix);
    const Tensor &find_codes(const std::string &name, const MatrixShape &shape) const;
    const Tensor *find_scales(const std::string &name, const MatrixShape &shape,
                              ScaleFormat &format) const;
    const Safetensors &folder_;
    std::string base_;
    std::vector<int64_t> ids_;                         // source index by expert id
    std::vector<const Tensor *> codes_[3], scales_[3]; // by expert id; null where it is not read
    ScaleFormat formats_[3] = {};
    bool drop_pages_;
};

} // namespace ds4::ktb
