// One matrix of an expert as its owner stores it, and its conversion to canonical rows and scales.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "kernels/methods.h"

namespace ds4::ktb {

enum class ScaleFormat : uint8_t { none, e8m0, bf16, f32 };
inline size_t scale_format_bytes(ScaleFormat format) {
    return format == ScaleFormat::none   ? 0
           : format == ScaleFormat::e8m0 ? 1
           : format == ScaleFormat::bf16 ? 2
                                         : 4;
}
// Whether the scales of a method may be stored in that format.
bool takes_scales(Method method, ScaleFormat format);

// A matrix [rows, columns] of a method.
struct MatrixShape {
    Method method;
    int rows, columns;

    size_t row_bytes() const { return ktb::row_bytes(method, columns); }
    uint64_t code_bytes() const { return uint64_t(rows) * row_bytes(); }
    int scale_row(int row) const { return row / method_traits(method).scale_rows; }
    size_t scales_in_row() const {
        return scale_row_bytes(method, columns) / size_t(method_traits(method).scale_bytes == 0
                                                             ? 1
                                                             : method_traits(method).scale_bytes);
    }
    uint64_t scale_count() const { return uint64_t(scale_row(rows - 1) + 1) * scales_in_row(); }
    // Number of scales of rows [begin, begin + count).
    size_t scales_of_rows(int begin, int count) const {
        return size_t(scale_row(begin + count - 1) - scale_row(begin) + 1) * scales_in_row();
    }
};

// Converts `count` stored scales to canonical ones: E8M0 for MXFP4, f32 for the FP8 methods. Throws
// naming `name` for a scale that the method cannot hold. out may not overlap.
void canonical_scales(Method method, ScaleFormat format, const uint8_t *stored, size_t count,
                      uint8_t *out, const std::string &name);
// Converts canonical scales back, for export.
void stored_scales(Method method, ScaleFormat format, const uint8_t *canonical, size_t count,
                   uint8_t *out);
// The lowest and the highest of `count` bytes; 255 and 0 without any.
std::pair<uint8_t, uint8_t> byte_range(const uint8_t *bytes, size_t count);
// Throws naming `name` when a value of the rows is not a number. Scales are checked by
// canonical_scales.
void check_codes(const MatrixShape &shape, const uint8_t *codes, int begin, int rows,
                 const std::string &name);

} // namespace ds4::ktb
