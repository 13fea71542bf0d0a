#include "kernels/matmul/packed_matrix.h"

#include "base/fail.h"
#include "ds4.h"
#include "format/convert.h"
#include "kernels/formats/format.h"

namespace ds4::kernels {
namespace {

constexpr uint64_t kAlignment = 256;
constexpr int64_t kLargest = int64_t(1) << 30; // rows or columns, so that kernels count in 32 bits

const formats::HostFormat &format_of(uint32_t type, int64_t rows, int64_t cols) {
    const formats::HostFormat *format = formats::host_format(type);
    if (format == nullptr)
        fail(DS4_ERR_FORMAT, "no kernel multiplies a matrix of type %u (%s)", type,
             type_traits(type) == nullptr ? "unknown" : type_traits(type)->name);
    if (rows < 0 || rows > kLargest || cols <= 0 || cols > kLargest ||
        cols % formats::kGroupCols != 0 || row_bytes(type, uint64_t(cols)) == 0)
        fail(DS4_ERR_FORMAT,
             "a %s matrix of %lld rows and %lld columns: columns must be a multiple of %u",
             type_traits(type)->name, (long long)rows, (long long)cols,
             type_traits(type)->block_elements > 32 ? type_traits(type)->block_elements : 32u);
    return *format;
}

} // namespace

uint64_t packed_bytes(uint32_t type, int64_t rows, int64_t cols) {
    const formats::HostFormat &format = format_of(type, rows, cols);
    const auto strips = uint64_t(formats::strips_of(rows));
    const auto bytes = strips * uint64_t(formats::strip_bytes(format.tile_bytes, format.side_bytes,
                                                              formats::tiles_of(cols)));
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

void pack_matrix(const StoredMatrix &matrix, uint8_t *out) {
    const formats::HostFormat &format = format_of(matrix.type, matrix.rows, matrix.cols);
    if (type_traits(matrix.type)->separate_scales && matrix.scales == nullptr && matrix.rows > 0)
        fail(DS4_ERR_ARGUMENT, "a %s matrix came without its scales",
             type_traits(matrix.type)->name);
    const int64_t bytes =
        formats::strip_bytes(format.tile_bytes, format.side_bytes, formats::tiles_of(matrix.cols));
    for (int64_t strip = 0; strip < formats::strips_of(matrix.rows); strip++)
        format.pack_strip(matrix, strip, out + strip * bytes);
}

bool takes_int8(uint32_t type) {
    const TypeTraits *traits = type_traits(type);
    return traits != nullptr && traits->block_elements >= 32;
}

} // namespace ds4::kernels
