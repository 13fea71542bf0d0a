#include "experts/loading/memory_source.h"

#include <cstring>

#include "format/blocks.h"
#include "format/encode.h"
#include "machine/lost_pages.h"
#include "pool/expert_error.h"

namespace ds4::ktb {
namespace {

// Scales of KTransformers' pointer form, which has no format codes.
ScaleFormat pointer_form_scales(Method method) {
    if (method == Method::mxfp4) return ScaleFormat::bf16;
    return method_traits(method).scale_bytes == 0 ? ScaleFormat::none : ScaleFormat::f32;
}

struct Format {
    uint32_t number; // KTB_FORMAT_*
    Method method;
    ScaleFormat scales;
    bool gguf_blocks;
    const char *name;
};
constexpr Format kFormats[] = {
    {KTB_FORMAT_FP4, Method::mxfp4, ScaleFormat::e8m0, false, "KTB_FORMAT_FP4"},
    {KTB_FORMAT_MXFP4, Method::mxfp4, ScaleFormat::none, true, "KTB_FORMAT_MXFP4"},
    {KTB_FORMAT_BF16, Method::bf16, ScaleFormat::none, false, "KTB_FORMAT_BF16"},
    {KTB_FORMAT_FP8, Method::fp8, ScaleFormat::e8m0, false, "KTB_FORMAT_FP8"},
    {KTB_FORMAT_FP8_F32, Method::fp8, ScaleFormat::f32, false, "KTB_FORMAT_FP8_F32"},
    {KTB_FORMAT_FP8_ROWS, Method::fp8_perchannel, ScaleFormat::f32, false, "KTB_FORMAT_FP8_ROWS"},
    {KTB_FORMAT_Q8_0, Method::q8_0, ScaleFormat::none, false, "KTB_FORMAT_Q8_0"},
    {KTB_FORMAT_Q2_K, Method::q2_k, ScaleFormat::none, false, "KTB_FORMAT_Q2_K"},
    {KTB_FORMAT_Q4_K, Method::q4_k, ScaleFormat::none, false, "KTB_FORMAT_Q4_K"},
    {KTB_FORMAT_IQ2_XXS, Method::iq2_xxs, ScaleFormat::none, false, "KTB_FORMAT_IQ2_XXS"},
};

const Format *find_format(uint32_t number) {
    for (const Format &format : kFormats)
        if (format.number == number) return &format;
    return nullptr;
}

} // namespace

MemorySource::MemorySource(const SourceShape &shape, const void *const *const codes[3],
                           const void *const *const scales[3], const int64_t *map)
    : ExpertSource(shape) {
    const std::vector<int64_t> ids = mapped_experts(shape, map);
    for (int matrix = 0; matrix < 3; matrix++) {
        codes_[matrix].resize(size_t(shape.layer.experts)),
            scales_[matrix].resize(size_t(shape.layer.experts));
        stored_[matrix].scales = pointer_form_scales(shape.of(matrix).method);
        const bool scaled = stored_[matrix].scales != ScaleFormat::none;
        if (codes[matrix] == nullptr || (scaled && scales[matrix] == nullptr))
            fail(KTB_ERR_ARGUMENT, "layer %d: the pointer array of %s is NULL", shape.index,
                 kMatrixNames[matrix]);
        for (const int32_t expert : shape_.kept) {
            const int64_t id = ids[size_t(expert)];
            const uint8_t *&own_codes = codes_[matrix][size_t(expert)],
                          *&own_scales = scales_[matrix][size_t(expert)];
            own_codes = static_cast<const uint8_t *>(codes[matrix][id]);
            own_scales = scaled ? static_cast<const uint8_t *>(scales[matrix][id]) : nullptr;
            if (own_codes == nullptr || (scaled && own_scales == nullptr))
                fail(KTB_ERR_ARGUMENT, "layer %d: %s of source expert %lld is NULL", shape.index,
                     kMatrixNames[matrix], (long long)id);
        }
    }
}

MemorySource::MemorySource(const SourceShape &shape, const ktb_matrix *const matrices[3], int first)
    : ExpertSource(shape) {
    for (int matrix = 0; matrix < 3; matrix++) {
        codes_[matrix].resize(size_t(shape.layer.experts)),
            scales_[matrix].resize(size_t(shape.layer.experts));
        if (matrices[matrix] == nullptr)
            fail(KTB_ERR_ARGUMENT, "layer %d: the array of %s matrices is NULL", shape.index,
                 kMatrixNames[matrix]);
        for (const int32_t expert : shape_.kept)
            add_matrix(matrix, expert, matrices[matrix][expert - first]);
    }
}

void MemorySource::add_matrix(int matrix, int expert, const ktb_matrix &from) {
    const MatrixShape shape = shape_.of(matrix);
    const std::string label = name(expert, matrix);
    const Format *format = find_format(from.format);
    if (format == nullptr)
        fail(KTB_ERR_FORMAT, "%s: format %u is none of KTB_FORMAT_*", label.c_str(), from.format);
    if (format->method != shape.method)
        fail(KTB_ERR_FORMAT, "%s: %s does not belong to a layer of %s", label.c_str(), format->name,
             method_traits(shape.method).name);
    if (from.reserved != 0)
        fail(KTB_ERR_ARGUMENT, "%s: reserved is %u; expected 0", label.c_str(), from.reserved);
    if (expert == shape_.kept[0]) stored_[matrix] = {format->gguf_blocks, format->scales};
    if (stored_[matrix].gguf_blocks != format->gguf_blocks ||
        stored_[matrix].scales != format->scales)
        fail(KTB_ERR_FORMAT,
             "%s: %s differs from the format of expert %d; the experts of a layer share one",
             label.c_str(), format->name, shape_.kept[0]);
    const uint64_t blocks = uint64_t(shape.rows) * uint64_t(shape.columns) / kGroup;
    const uint64_t data_bytes =
        format->gguf_blocks ? blocks * sizeof(BlockMxfp4) : shape.code_bytes();
    const uint64_t scale_bytes = format->scales == ScaleFormat::none
                                     ? 0
                                     : shape.scale_count() * scale_format_bytes(format->scales);
    if (from.data_bytes != data_bytes || from.scale_bytes != scale_bytes)
        fail(KTB_ERR_FORMAT,
             "%s: %s of [%d, %d] has %llu bytes and %llu bytes of scales; expected %llu and %llu",
             label.c_str(), format->name, shape.rows, shape.columns,
             (unsigned long long)from.data_bytes, (unsigned long long)from.scale_bytes,
             (unsigned long long)data_bytes, (unsigned long long)scale_bytes);
    if (from.data == nullptr || (scale_bytes != 0 && from.scales == nullptr))
        fail(KTB_ERR_ARGUMENT, "%s: a pointer is NULL", label.c_str());
    codes_[matrix][size_t(expert)] = static_cast<const uint8_t *>(from.data);
    scales_[matrix][size_t(expert)] = static_cast<const uint8_t *>(from.scales);
}

const uint8_t *MemorySource::codes(int expert, int matrix, int begin, int rows,
                                   uint8_t *staging) const {
    const MatrixShape shape = shape_.of(matrix);
    const uint8_t *data = codes_[matrix][size_t(expert)];
    if (!stored_[matrix].gguf_blocks) return data + size_t(begin) * shape.row_bytes();
    const size_t row = size_t(shape.columns / kGroup) * sizeof(BlockMxfp4);
    for (int i = 0; i < rows; i++)
        mxfp4_to_fp4_packed(data + (size_t(begin) + size_t(i)) * row,
                            staging + size_t(i) * shape.row_bytes(), nullptr, shape.columns);
    return staging;
}

const uint8_t *MemorySource::scales(int expert, int matrix, int begin, int rows,
                                    uint8_t *staging) const {
    const MatrixShape shape = shape_.of(matrix);
    const size_t count =
        method_traits(shape.method).scale_bytes == 0 ? 0 : shape.scales_of_rows(begin, rows);
    if (count == 0) return nullptr;
    const size_t first = size_t(shape.scale_row(begin)) * shape.scales_in_row();
    const std::string label = name(expert, matrix);
    if (stored_[matrix].gguf_blocks) {
        uint8_t *gathered = staging + count;
        const auto *blocks =
            reinterpret_cast<const BlockMxfp4 *>(codes_[matrix][size_t(expert)]) + first;
        for (size_t i = 0; i < count; i++) gathered[i] = blocks[i].e;
        canonical_scales(shape.method, ScaleFormat::e8m0, gathered, count, staging, label);
        return staging;
    }
    const ScaleFormat format = stored_[matrix].scales;
    canonical_scales(shape.method, format,
                     scales_[matrix][size_t(expert)] + first * scale_format_bytes(format), count,
                     staging, label);
    return staging;
}

void MemorySource::end_expert(int expert) const {
    for (int matrix = 0; matrix < 3; matrix++)
        for (const uint8_t *bytes :
             {codes_[matrix][size_t(expert)], scales_[matrix][size_t(expert)]})
            if (const std::string path = machine::lost_file_at(bytes); !path.empty())
                fail(KTB_ERR_IO,
                     "%s: %s has been truncated, or cannot be read, since it was opened; put the "
                     "whole file in its place, open the folder again and load from there",
                     name(expert, matrix).c_str(), path.c_str());
}

std::string MemorySource::name(int expert, int matrix) const {
    return "layer " + std::to_string(shape_.index) + " expert " + std::to_string(expert) + " " +
           kMatrixNames[matrix];
}

} // namespace ds4::ktb
