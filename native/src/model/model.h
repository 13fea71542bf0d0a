// The mapped weights of one model: the place of each tensor, checked against the shape. Read-only
// once sealed.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "model/mapped_file.h"
#include "model/shape.h"

struct ds4_tensor;

namespace ds4 {

struct ExpectedTensor;

constexpr int kTensorKinds = 41; // DS4_TENSOR_KIND_COUNT

// A matrix [rows, cols] in a mapped file; data is null where the model has no such tensor.
struct TensorView {
    uint32_t type = 0;
    int64_t rows = 0, cols = 0;
    const uint8_t *data = nullptr;
    const uint8_t *scales = nullptr; // E8M0, F8_E4M3 and FP4_PACKED only
    explicit operator bool() const { return data != nullptr; }
    // Rows [begin, begin + count). For F8_E4M3 begin must be a multiple of 128 (the height of a
    // scale block).
    TensorView slice_rows(int64_t begin, int64_t count) const;
    uint64_t data_bytes() const;
    uint64_t scale_bytes() const; // 0 without scales
};

struct LayerTensors {
    TensorView single[kTensorKinds];        // by kind; experts excepted
    std::vector<TensorView> gate, up, down; // [experts]
    const TensorView &operator[](int kind) const { return single[kind]; }
    // kind: DS4_TENSOR_EXPERT_GATE, _UP or _DOWN.
    std::vector<TensorView> &experts_of(int kind);
    const std::vector<TensorView> &experts_of(int kind) const {
        return const_cast<LayerTensors *>(this)->experts_of(kind);
    }
};

class Model {
  public:
    explicit Model(Shape shape);

    const Shape &shape() const { return shape_; }
    uint32_t add_file(const std::string &path);
    void add_tensors(const ds4_tensor *tensors, uint64_t tensor_count, const char *names,
                     uint64_t names_bytes);
    void seal();
    bool sealed() const { return sealed_; }

    const TensorView &global(int kind) const { return global_[kind]; }
    const LayerTensors &layer(int index) const { return layers_[size_t(index)]; }
    const std::vector<LayerTensors> &layers() const { return layers_; }
    const std::vector<MappedFile> &files() const { return files_; }
    uint64_t mapped_bytes() const;                      // sizes of the files
    uint64_t used_bytes() const { return used_bytes_; } // sizes of the tensors

  private:
    void add_tensor(const ds4_tensor &tensor, const char *name);
    void check_role(const ds4_tensor &tensor, const ExpectedTensor &expected,
                    const char *name) const;
    void place_expert(const ds4_tensor &tensor, const TensorView &view, const char *name);
    TensorView view_of(const ds4_tensor &tensor, const char *name) const;

    Shape shape_;
    std::vector<MappedFile> files_;
    TensorView global_[kTensorKinds];
    std::vector<LayerTensors> layers_;
    uint64_t used_bytes_ = 0;
    bool sealed_ = false;
};

} // namespace ds4
