// The source that reads safetensors.
#include "experts/loading/folder_source.h"
#include "pool/expert_error.h"

namespace ds4::ktb {
namespace {

std::string described(const Tensor &tensor) {
    std::string text = tensor.dtype + " [";
    for (size_t i = 0; i < tensor.shape.size(); i++)
        text += (i == 0 ? "" : ", ") + std::to_string(tensor.shape[i]);
    return text + "]";
}

bool stores(const Tensor &tensor, Method method) {
    if (method == Method::mxfp4) return tensor.dtype == "I8" || tensor.dtype == "U8";
    return tensor.dtype == (method == Method::bf16 ? "BF16" : "F8_E4M3");
}

ScaleFormat scale_format_of(const std::string &dtype) {
    if (dtype == "F8_E8M0" || dtype == "U8") return ScaleFormat::e8m0;
    if (dtype == "BF16") return ScaleFormat::bf16;
    return dtype == "F32" ? ScaleFormat::f32 : ScaleFormat::none;
}

bool in_safetensors(Method method) {
    return method == Method::mxfp4 || method == Method::bf16 || method == Method::fp8 ||
           method == Method::fp8_perchannel;
}

} // namespace

FolderSource::FolderSource(const SourceShape &shape, const Safetensors &folder, int layer,
                           const int64_t *map, bool drop_pages)
    : ExpertSource(shape), folder_(folder), drop_pages_(drop_pages) {
    for (int matrix = 0; matrix < 3; matrix++)
        if (const Method method = shape.of(matrix).method; !in_safetensors(method))
            fail(KTB_ERR_ARGUMENT,
                 "layer %d holds %s, which safetensors files do not store: load it with "
                 "ktb_moe_load_matrices",
                 shape.index, method_traits(method).name);
    ids_ = mapped_experts(shape, map);
    const std::string tail = "layers." + std::to_string(layer);
    const std::string first =
        ".ffn.experts." + std::to_string(ids_[size_t(shape_.kept[0])]) + ".w1.weight";
    base_ = folder.find("model." + tail + first) != nullptr ? "model." + tail : tail;
    for (int matrix = 0; matrix < 3; matrix++) find_matrices(matrix);
}

// Finds the codes and scales of one matrix of every expert to read.
void FolderSource::find_matrices(int matrix) {
    const MatrixShape shape = shape_.of(matrix);
    const int first = shape_.kept[0];
    codes_[matrix].resize(ids_.size()), scales_[matrix].resize(ids_.size());
    for (const int32_t expert : shape_.kept) {
        ScaleFormat format = ScaleFormat::none;
        codes_[matrix][size_t(expert)] = &find_codes(name(expert, matrix) + ".weight", shape);
        const Tensor *scales = find_scales(name(expert, matrix) + ".scale", shape, format);
        scales_[matrix][size_t(expert)] = scales;
        if (expert == first) formats_[matrix] = format;
        if (formats_[matrix] != format)
            fail(KTB_ERR_FORMAT, "tensor %s.scale is %s, unlike that of expert %d",
                 name(expert, matrix).c_str(), scales->dtype.c_str(), first);
    }
}

const Tensor &FolderSource::find_codes(const std::string &name, const MatrixShape &shape) const {
    const Tensor *tensor = folder_.find(name);
    if (tensor == nullptr)
        fail(KTB_ERR_FORMAT, "tensor %s is missing in %s", name.c_str(), folder_.folder().c_str());
    const uint64_t rows = uint64_t(shape.rows),
                   columns = uint64_t(shape.columns) / (shape.method == Method::mxfp4 ? 2 : 1);
    if (!stores(*tensor, shape.method) || tensor->shape != std::vector<uint64_t>{rows, columns})
        fail(KTB_ERR_FORMAT, "tensor %s is %s; expected %s [%llu, %llu]", name.c_str(),
             described(*tensor).c_str(),
             shape.method == Method::mxfp4  ? "I8 or U8"
             : shape.method == Method::bf16 ? "BF16"
                                            : "F8_E4M3",
             (unsigned long long)rows, (unsigned long long)columns);
    return *tensor;
}

const Tensor *FolderSource::find_scales(const std::string &name, const MatrixShape &shape,
                                        ScaleFormat &format) const {
    if (method_traits(shape.method).scale_bytes == 0) return nullptr;
    const Tensor *tensor = folder_.find(name);
    if (tensor == nullptr)
        fail(KTB_ERR_FORMAT, "tensor %s is missing in %s", name.c_str(), folder_.folder().c_str());
    format = scale_format_of(tensor->dtype);
    const uint64_t rows = uint64_t(shape.scale_row(shape.rows - 1)) + 1,
                   columns = shape.scales_in_row();
    const bool flat =
        shape.method == Method::fp8_perchannel && tensor->shape == std::vector<uint64_t>{rows};
    if (!takes_scales(shape.method, format) ||
        (!flat && tensor->shape != std::vector<uint64_t>{rows, columns}))
        fail(KTB_ERR_FORMAT, "tensor %s is %s; expected %s [%llu, %llu]", name.c_str(),
             described(*tensor).c_str(),
             shape.method == Method::mxfp4 ? "F8_E8M0, U8 or BF16" : "F8_E8M0, U8, BF16 or F32",
             (unsigned long long)rows, (unsigned long long)columns);
    return tensor;
}

const uint8_t *FolderSource::codes(int expert, int matrix, int begin, int rows,
                                   uint8_t *staging) const {
    const Tensor &tensor = *codes_[matrix][size_t(expert)];
    const uint64_t row = shape_.of(matrix).row_bytes();
    folder_.read(tensor.shard, tensor.offset + uint64_t(begin) * row, uint64_t(rows) * row,
                 staging);
    return staging;
}

const uint8_t *FolderSource::scales(int expert, int matrix, int begin, int rows,
                                    uint8_t *staging) const {
    const MatrixShape shape = shape_.of(matrix);
    if (method_traits(shape.method).scale_bytes == 0) return nullptr;
    const Tensor &tensor = *scales_[matrix][size_t(expert)];
    const size_t count = shape.scales_of_rows(begin, rows),
                 bytes = scale_format_bytes(formats_[matrix]);
    uint8_t *stored = staging + count * size_t(method_traits(shape.method).scale_bytes);
    folder_.read(tensor.shard,
                 tensor.offset + uint64_t(shape.scale_row(begin)) * shape.scales_in_row() * bytes,
                 count * bytes, stored);
    canonical_scales(shape.method, formats_[matrix], stored, count, staging, name(expert, matrix));
    return staging;
}

std::string FolderSource::name(int expert, int matrix) const {
    return base_ + ".ffn.experts." + std::to_string(ids_[size_t(expert)]) + "." +
           kMatrixNames[matrix];
}

void FolderSource::begin_expert(int expert) const {
    for (int matrix = 0; matrix < 3; matrix++) folder_.prefetch(*codes_[matrix][size_t(expert)]);
}

void FolderSource::end_expert(int expert) const {
    if (!drop_pages_) return;
    for (int matrix = 0; matrix < 3; matrix++) {
        folder_.forget(*codes_[matrix][size_t(expert)]);
        if (scales_[matrix][size_t(expert)] != nullptr)
            folder_.forget(*scales_[matrix][size_t(expert)]);
    }
}

} // namespace ds4::ktb
