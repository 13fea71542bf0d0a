#include "model/tensor_values.h"

#include <cstring>

#include "ds4.h"
#include "format/convert.h"

namespace ds4 {

std::vector<float> floats_of(const TensorView &view) {
    std::vector<float> out(size_t(view.rows * view.cols));
    const uint64_t bytes = row_bytes(view.type, uint64_t(view.cols));
    for (int64_t r = 0; r < view.rows; r++) {
        const uint8_t *scales =
            view.scales == nullptr
                ? nullptr
                : view.slice_rows(view.type == DS4_TYPE_F8_E4M3 ? r / 128 * 128 : r, 1).scales;
        decode_row(view.type, view.data + uint64_t(r) * bytes, scales, out.data() + r * view.cols,
                   view.cols);
    }
    return out;
}

std::vector<int32_t> ids_of(const TensorView &view) {
    std::vector<int32_t> out(size_t(view.rows * view.cols));
    for (size_t i = 0; i < out.size(); i++) {
        if (view.type == DS4_TYPE_I64) {
            int64_t id;
            std::memcpy(&id, view.data + i * 8, 8);
            out[i] = int32_t(id);
        } else {
            std::memcpy(&out[i], view.data + i * 4, 4);
        }
    }
    return out;
}

} // namespace ds4
