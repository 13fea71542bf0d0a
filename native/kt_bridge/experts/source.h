// Where canonical expert weights come from: the caller's memory or a folder of safetensors.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "experts/layout.h"
#include "experts/safetensors.h"

namespace ds4::ktb {

enum Matrix { kGate = 0, kUp = 1, kDown = 2 };
constexpr const char *kMatrixNames[3] = {"w1", "w3", "w2"}; // in the checkpoint

inline int matrix_rows(const LayerShape &shape, int matrix) { return matrix == kDown ? shape.hidden : shape.inner; }
inline int matrix_cols(const LayerShape &shape, int matrix) { return matrix == kDown ? shape.inner : shape.hidden; }

class ExpertSource {
  public:
    virtual ~ExpertSource() = default;
    // Codes of rows [begin, begin + rows) of one matrix, contiguous; may use `staging` of rows * cols / 2 bytes.
    virtual const uint8_t *codes(int expert, int matrix, int begin, int rows, uint8_t *staging) const = 0;
    // Their E8M0 scales; may use `staging` of rows * cols * 3 / 32 bytes. Throws for a scale that E8M0 cannot hold.
    virtual const uint8_t *scales(int expert, int matrix, int begin, int rows, uint8_t *staging) const = 0;
    virtual std::string scale_name(int expert, int matrix) const = 0; // for messages
    virtual void begin_expert(int expert) const = 0;
    virtual void end_expert(int expert) const = 0;
};

// Six arrays of pointers, scales bf16 powers of two.
class PointerSource : public ExpertSource {
  public:
    // Throws when a pointer is missing or the map names an expert outside [0, shape.experts).
    PointerSource(const LayerShape &shape, int layer, const void *const *const codes[3], const void *const *const scales[3], const int64_t *map);
    const uint8_t *codes(int expert, int matrix, int begin, int rows, uint8_t *staging) const override;
    const uint8_t *scales(int expert, int matrix, int begin, int rows, uint8_t *staging) const override;
    std::string scale_name(int expert, int matrix) const override;
    void begin_expert(int) const override {}
    void end_expert(int) const override {}

  private:
    LayerShape shape_;
    int layer_;
    std::vector<const uint8_t *> codes_[3], scales_[3]; // by expert id
};

// {model.,}layers.{layer}.ffn.experts.{e}.w{1,3,2}.{weight,scale}
class FolderSource : public ExpertSource {
  public:
    // Throws when a tensor is missing or has another dtype or shape, naming it, what was expected and what came.
    // drop_pages: forget file pages once they are packed.
    FolderSource(const LayerShape &shape, const Safetensors &folder, int layer, const int64_t *map, bool drop_pages);
    const uint8_t *codes(int expert, int matrix, int begin, int rows, uint8_t *staging) const override;
    const uint8_t *scales(int expert, int matrix, int begin, int rows, uint8_t *staging) const override;
    std::string scale_name(int expert, int matrix) const override;
    void begin_expert(int expert) const override;
    void end_expert(int expert) const override;

  private:
    const Tensor &find(const std::string &name, int64_t rows, int64_t cols, bool scale) const;
    LayerShape shape_;
    const Safetensors &folder_;
    std::string base_;
    std::vector<int64_t> ids_; // source index by expert id
    std::vector<const Tensor *> codes_[3], scales_[3];
    bool drop_pages_;
};

} // namespace ds4::ktb
