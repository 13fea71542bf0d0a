// Expert weights in the caller's memory.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "experts/loading/expert_source.h"
#include "kt_bridge.h"

namespace ds4::ktb {

class MemorySource : public ExpertSource {
  public:
    // Takes six arrays of pointers with the scales that ktb_moe_load_weights_ptrs documents. Throws
    // when a pointer of an expert to read is missing, or the map names an expert outside [0,
    // experts).
    MemorySource(const SourceShape &shape, const void *const *const codes[3],
                 const void *const *const scales[3], const int64_t *map);
    // Takes arrays of matrices, expert e's at [e - first]. Throws when the format of an expert to
    // read is not the method's, formats differ, or a size is not the shape's.
    MemorySource(const SourceShape &shape, const ktb_matrix *const matrices[3], int first = 0);
    const uint8_t *codes(int expert, int matrix, int begin, int rows,
                         uint8_t *staging) const override;
    const uint8_t *scales(int expert, int matrix, int begin, int rows,
                          uint8_t *staging) const override;
    std::string name(int expert, int matrix) const override;
    void end_expert(int expert) const override; // throws if a file of the library lost its bytes
    ScaleFormat scale_format(int matrix) const override { return stored_[matrix].scales; }

  private:
    struct Stored {
        bool gguf_blocks = false; // MXFP4 as BlockMxfp4 (format/blocks.h)
        ScaleFormat scales = ScaleFormat::none;
    };
    void add_matrix(int matrix, int expert, const ktb_matrix &from);
    Stored stored_[3];
    std::vector<const uint8_t *> codes_[3], scales_[3]; // by expert id; null where it is not read
};

} // namespace ds4::ktb
