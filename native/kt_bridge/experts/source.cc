#include "experts/source.h"

#include <cstring>

#include "pool/error.h"

namespace ds4::ktb {
namespace {

int64_t mapped_id(const LayerShape &shape, int layer, const int64_t *map, int expert) {
    const int64_t id = map == nullptr ? expert : map[expert];
    if (id < 0 || id >= shape.experts)
        fail(KTB_ERR_ARGUMENT, "layer %d: the map gives source %lld for expert %d; expected 0..%d", layer, (long long)id, expert, shape.experts - 1);
    return id;
}

// bf16 scales [count] to E8M0; the published layout widens E8M0 bytes, so anything else has no place here.
void narrow_scales(const uint8_t *source, size_t count, uint8_t *out, const std::string &name) {
    for (size_t i = 0; i < count; i++) {
        uint16_t bits;
        std::memcpy(&bits, source + i * 2, 2);
        if ((bits & 0x807f) != 0 || (bits >> 7) == 255)
            fail(KTB_ERR_FORMAT, "%s: bf16 scale 0x%04x at %zu is not a finite power of two, which MXFP4 requires", name.c_str(), bits, i);
        out[i] = uint8_t(bits >> 7);
    }
}

std::string described(const Tensor &tensor) {
    std::string text = tensor.dtype + " [";
    for (size_t i = 0; i < tensor.shape.size(); i++) text += (i == 0 ? "" : ", ") + std::to_string(tensor.shape[i]);
    return text + "]";
}

} // namespace

PointerSource::PointerSource(const LayerShape &shape, int layer, const void *const *const codes[3], const void *const *const scales[3], const int64_t *map)
    : shape_(shape), layer_(layer) {
    for (int matrix = 0; matrix < 3; matrix++) {
        if (codes[matrix] == nullptr || scales[matrix] == nullptr) fail(KTB_ERR_ARGUMENT, "layer %d: the pointer array of %s is NULL", layer, kMatrixNames[matrix]);
        for (int expert = 0; expert < shape.experts; expert++) {
            const int64_t id = mapped_id(shape, layer, map, expert);
            codes_[matrix].push_back(static_cast<const uint8_t *>(codes[matrix][id]));
            scales_[matrix].push_back(static_cast<const uint8_t *>(scales[matrix][id]));
            if (codes_[matrix].back() == nullptr || scales_[matrix].back() == nullptr)
                fail(KTB_ERR_ARGUMENT, "layer %d: %s of source expert %lld is NULL", layer, kMatrixNames[matrix], (long long)id);
        }
    }
}

const uint8_t *PointerSource::codes(int expert, int matrix, int begin, int, uint8_t *) const {
    return codes_[matrix][size_t(expert)] + size_t(begin) * size_t(matrix_cols(shape_, matrix) / 2);
}

const uint8_t *PointerSource::scales(int expert, int matrix, int begin, int rows, uint8_t *staging) const {
    const size_t row = size_t(matrix_cols(shape_, matrix) / kGroup);
    narrow_scales(scales_[matrix][size_t(expert)] + size_t(begin) * row * 2, size_t(rows) * row, staging, scale_name(expert, matrix));
    return staging;
}

std::string PointerSource::scale_name(int expert, int matrix) const {
    return "layer " + std::to_string(layer_) + " expert " + std::to_string(expert) + " " + kMatrixNames[matrix] + ".scale";
}

FolderSource::FolderSource(const LayerShape &shape, const Safetensors &folder, int layer, const int64_t *map, bool drop_pages)
    : shape_(shape), folder_(folder), drop_pages_(drop_pages) {
    const std::string tail = "layers." + std::to_string(layer);
    for (int expert = 0; expert < shape.experts; expert++) ids_.push_back(mapped_id(shape, layer, map, expert));
    const std::string first = ".ffn.experts." + std::to_string(ids_[0]) + ".w1.weight";
    base_ = folder.find("model." + tail + first) != nullptr ? "model." + tail : tail;
    for (int expert = 0; expert < shape.experts; expert++)
        for (int matrix = 0; matrix < 3; matrix++) {
            const std::string name = base_ + ".ffn.experts." + std::to_string(ids_[size_t(expert)]) + "." + kMatrixNames[matrix];
            const int64_t rows = matrix_rows(shape, matrix), cols = matrix_cols(shape, matrix);
            codes_[matrix].push_back(&find(name + ".weight", rows, cols / 2, false));
            scales_[matrix].push_back(&find(name + ".scale", rows, cols / kGroup, true));
        }
}

const Tensor &FolderSource::find(const std::string &name, int64_t rows, int64_t cols, bool scale) const {
    const Tensor *tensor = folder_.find(name);
    if (tensor == nullptr) fail(KTB_ERR_FORMAT, "tensor %s is missing in %s", name.c_str(), folder_.folder().c_str());
    const bool dtype = scale ? tensor->dtype == "F8_E8M0" || tensor->dtype == "U8" || tensor->dtype == "BF16" : tensor->dtype == "I8" || tensor->dtype == "U8";
    if (!dtype || tensor->shape != std::vector<int64_t>{rows, cols})
        fail(KTB_ERR_FORMAT, "tensor %s is %s; expected %s [%lld, %lld]", name.c_str(), described(*tensor).c_str(),
             scale ? "F8_E8M0, U8 or BF16" : "I8 or U8", (long long)rows, (long long)cols);
    return *tensor;
}

const uint8_t *FolderSource::codes(int expert, int matrix, int begin, int rows, uint8_t *staging) const {
    const Tensor &tensor = *codes_[matrix][size_t(expert)];
    const uint64_t row = uint64_t(matrix_cols(shape_, matrix)) / 2;
    folder_.read(tensor.shard, tensor.offset + uint64_t(begin) * row, uint64_t(rows) * row, staging);
    return staging;
}

const uint8_t *FolderSource::scales(int expert, int matrix, int begin, int rows, uint8_t *staging) const {
    const Tensor &tensor = *scales_[matrix][size_t(expert)];
    const uint64_t row = uint64_t(matrix_cols(shape_, matrix)) / kGroup;
    if (tensor.dtype != "BF16") {
        folder_.read(tensor.shard, tensor.offset + uint64_t(begin) * row, uint64_t(rows) * row, staging);
        return staging;
    }
    uint8_t *wide = staging + uint64_t(rows) * row; // staging has room for two more bytes a scale
    folder_.read(tensor.shard, tensor.offset + uint64_t(begin) * row * 2, uint64_t(rows) * row * 2, wide);
    narrow_scales(wide, uint64_t(rows) * row, staging, scale_name(expert, matrix));
    return staging;
}

std::string FolderSource::scale_name(int expert, int matrix) const {
    return base_ + ".ffn.experts." + std::to_string(ids_[size_t(expert)]) + "." + kMatrixNames[matrix] + ".scale";
}

void FolderSource::begin_expert(int expert) const {
    for (int matrix = 0; matrix < 3; matrix++) folder_.prefetch(*codes_[matrix][size_t(expert)]);
}

void FolderSource::end_expert(int expert) const {
    if (!drop_pages_) return;
    for (int matrix = 0; matrix < 3; matrix++) folder_.forget(*codes_[matrix][size_t(expert)]), folder_.forget(*scales_[matrix][size_t(expert)]);
}

} // namespace ds4::ktb
