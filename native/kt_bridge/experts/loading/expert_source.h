// Where canonical expert weights come from: the caller's memory or a folder of safetensors.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "experts/weights/layout.h"
#include "experts/loading/safetensors.h"
#include "experts/loading/stored_matrix.h"
#include "kt_bridge.h"

namespace ds4::ktb {

enum ExpertMatrix { kGate = 0, kUp = 1, kDown = 2 };
constexpr const char *kMatrixNames[3] = {"w1", "w3", "w2"}; // in the checkpoint

struct SourceShape {
    ExpertLayerShape layer;
    LayerMethods methods;
    int index;                      // of the layer, for messages
    std::vector<int32_t> kept = {}; // experts to read; a source without any given reads all

    MatrixShape of(int matrix) const {
        return matrix == kDown ? MatrixShape{methods.down, layer.hidden, layer.intermediate}
                               : MatrixShape{methods.gate_up, layer.intermediate, layer.hidden};
    }
};

class ExpertSource {
  public:
    explicit ExpertSource(const SourceShape &shape);
    virtual ~ExpertSource() = default;
    // Canonical codes of rows [begin, begin + rows) of one matrix, contiguous; may use `staging` of
    // as many bytes.
    virtual const uint8_t *codes(int expert, int matrix, int begin, int rows,
                                 uint8_t *staging) const = 0;
    // Their canonical scales, from the first row's on; writes them to `staging` and may use twice
    // their room there. nullptr for a method without. Throws for a scale that the method cannot
    // hold.
    virtual const uint8_t *scales(int expert, int matrix, int begin, int rows,
                                  uint8_t *staging) const = 0;
    virtual std::string name(int expert,
                             int matrix) const = 0; // for messages, without .weight or .scale
    virtual ScaleFormat scale_format(int matrix) const = 0; // of all experts
    virtual void begin_expert(int) const {}
    virtual void end_expert(int) const {}
    const SourceShape &shape() const { return shape_; }

  protected:
    SourceShape shape_;
};

// Matrices in memory.
class MemorySource : public ExpertSource {
  public:
    // Six arrays of pointers with the scales that ktb_moe_load_weights_ptrs documents. Throws when
    // a pointer of an expert to read is missing or the map names an expert outside [0, experts).
    MemorySource(const SourceShape &shape, const void *const *const codes[3],
                 const void *const *const scales[3], const int64_t *map);
    // Arrays of matrices, expert e's at [e - first]. Throws when a format of an expert to read is
    // not the method's, formats differ, or a size is not the shape's.
    MemorySource(const SourceShape &shape, const ktb_matrix *const matrices[3], int first = 0);
    const uint8_t *codes(int expert, int matrix, int begin, int rows,
                         uint8_t *staging) const override;
    const uint8_t *scales(int expert, int matrix, int begin, int rows,
                          uint8_t *staging) const override;
    std::string name(int expert, int matrix) const override;
    ScaleFormat scale_format(int matrix) const override { return stored_[matrix].scales; }

  private:
    struct Stored {
        bool gguf_blocks =
            false; // of MXFP4: a scale and 16 bytes with value j and j + 16 in byte j
        ScaleFormat scales = ScaleFormat::none;
    };
    void add_matrix(int matrix, int expert, const ktb_matrix &from);
    Stored stored_[3];
    std::vector<const uint8_t *> codes_[3], scales_[3]; // by expert id; null where it is not read
};

// {model.,}layers.{layer}.ffn.experts.{e}.w{1,3,2}.{weight,scale}
class FolderSource : public ExpertSource {
  public:
    // Throws when a tensor is missing or has another dtype or shape, naming it, what was expected
    // and what came. drop_pages: forget file pages once they are packed.
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
