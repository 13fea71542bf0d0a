// Storage types over the boundary: sizes and row conversion.
#include <algorithm>
#include <vector>

#include "api/boundary.h"
#include "ds4.h"
#include "format/convert.h"
#include "format/encode.h"
#include "format/row_defect.h"

namespace ds4::api {
namespace {

struct Conversion {
    uint32_t from_type, to_type;
    const uint8_t *from, *scales;
    uint8_t *to;
    uint64_t from_bytes, scale_bytes, to_bytes;
    uint64_t row_begin, rows, cols;
    uint64_t from_row_bytes, to_row_bytes;
};

uint64_t checked_row_bytes(uint32_t type, uint64_t cols, const char *role) {
    const TypeTraits *traits = type_traits(type);
    if (traits == nullptr) fail(DS4_ERR_ARGUMENT, "%s %u is not a known tensor type", role, type);
    const uint64_t bytes = row_bytes(type, cols);
    if (bytes == 0)
        fail(DS4_ERR_ARGUMENT, "%s %s needs a multiple of %u columns, got %llu", role, traits->name,
             traits->block_elements, (unsigned long long)cols);
    return bytes;
}

void check_capacity(uint64_t have, uint64_t rows, uint64_t each, const char *name) {
    uint64_t need = 0;
    if (__builtin_mul_overflow(rows, each, &need) || have < need)
        fail(DS4_ERR_ARGUMENT, "%s is %llu; %llu rows of %llu bytes need more", name,
             (unsigned long long)have, (unsigned long long)rows, (unsigned long long)each);
}

void check_types(const Conversion &c) {
    if (c.from_type == DS4_TYPE_I32 || c.from_type == DS4_TYPE_I64 ||
        c.from_type == DS4_TYPE_F8_E8M0)
        fail(DS4_ERR_ARGUMENT, "from_type %s holds no weights to convert",
             type_traits(c.from_type)->name);
    if (c.to_type == DS4_TYPE_MXFP4) {
        if (c.from_type != DS4_TYPE_MXFP4 && c.from_type != DS4_TYPE_FP4_PACKED)
            fail(DS4_ERR_ARGUMENT, "MXFP4 is written only from MXFP4 or FP4_PACKED, not from %s",
                 type_traits(c.from_type)->name);
    } else if (!can_encode(c.to_type)) {
        fail(DS4_ERR_ARGUMENT, "to_type %s is not one of F32, F16, BF16, Q8_0, MXFP4",
             type_traits(c.to_type)->name);
    }
}

void check_scales(const Conversion &c) {
    if (!type_traits(c.from_type)->separate_scales) return;
    require_pointer(c.scales, "scales");
    uint64_t last =
        c.rows; // scale rows are counted from the tensor's first row for F8, from `from` for FP4
    if (c.from_type == DS4_TYPE_F8_E4M3 && __builtin_add_overflow(c.row_begin, c.rows, &last))
        fail(DS4_ERR_ARGUMENT, "row_begin + rows overflows");
    const uint64_t need = scale_bytes(c.from_type, last, c.cols);
    if (need == 0 || c.scale_bytes < need)
        fail(DS4_ERR_ARGUMENT,
             "scale_bytes is %llu; %s up to row %llu with %llu columns needs %llu",
             (unsigned long long)c.scale_bytes, type_traits(c.from_type)->name,
             (unsigned long long)last, (unsigned long long)c.cols, (unsigned long long)need);
}

const uint8_t *scales_of_row(const Conversion &c, uint64_t row) {
    if (c.from_type == DS4_TYPE_F8_E4M3)
        return c.scales + (c.row_begin + row) / 128 * ((c.cols + 127) / 128);
    if (c.from_type == DS4_TYPE_FP4_PACKED) return c.scales + row * (c.cols / 32);
    return nullptr;
}

void convert_row(const Conversion &c, uint64_t row, std::vector<float> &values) {
    const uint8_t *from = c.from + row * c.from_row_bytes, *scales = scales_of_row(c, row);
    uint8_t *to = c.to + row * c.to_row_bytes;
    const char *defect = row_defect(c.from_type, from, scales, int64_t(c.cols));
    if (defect == nullptr) {
        if (c.from_type == DS4_TYPE_FP4_PACKED && c.to_type == DS4_TYPE_MXFP4) {
            fp4_packed_to_mxfp4(from, scales, to, int64_t(c.cols));
        } else if (c.from_type == c.to_type) {
            std::copy(from, from + c.from_row_bytes, to);
        } else {
            decode_row(c.from_type, from, scales, values.data(), int64_t(c.cols));
            defect = encode_row(c.to_type, values.data(), to, int64_t(c.cols));
        }
    }
    if (defect != nullptr)
        fail(DS4_ERR_FORMAT, "row %llu (%s to %s): %s", (unsigned long long)(c.row_begin + row),
             type_traits(c.from_type)->name, type_traits(c.to_type)->name, defect);
}

void convert_rows(Conversion c) {
    c.from_row_bytes = checked_row_bytes(c.from_type, c.cols, "from_type");
    c.to_row_bytes = checked_row_bytes(c.to_type, c.cols, "to_type");
    check_types(c);
    if (c.rows == 0) return;
    require_pointer(c.from, "from");
    require_pointer(c.to, "to");
    check_capacity(c.from_bytes, c.rows, c.from_row_bytes, "from_bytes");
    check_capacity(c.to_bytes, c.rows, c.to_row_bytes, "to_bytes");
    check_scales(c);
    std::vector<float> values;
    if (c.to_type != DS4_TYPE_MXFP4 && c.from_type != c.to_type) values.resize(c.cols);
    for (uint64_t row = 0; row < c.rows; row++) convert_row(c, row, values);
}

} // namespace
} // namespace ds4::api

extern "C" uint64_t ds4_row_bytes(uint32_t type, uint64_t cols) {
    return ds4::row_bytes(type, cols);
}

extern "C" ds4_status ds4_convert_rows(uint32_t from_type, const void *from, uint64_t from_bytes,
                                       const void *scales, uint64_t scale_bytes, uint32_t to_type,
                                       void *to, uint64_t to_bytes, uint64_t row_begin,
                                       uint64_t rows, uint64_t cols) {
    return ds4::api::guarded([&] {
        ds4::api::Conversion c{};
        c.from_type = from_type, c.to_type = to_type;
        c.from = static_cast<const uint8_t *>(from),
        c.scales = static_cast<const uint8_t *>(scales);
        c.to = static_cast<uint8_t *>(to);
        c.from_bytes = from_bytes, c.scale_bytes = scale_bytes, c.to_bytes = to_bytes;
        c.row_begin = row_begin, c.rows = rows, c.cols = cols;
        ds4::api::convert_rows(c);
    });
}
