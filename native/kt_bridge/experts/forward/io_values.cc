#include "experts/forward/io_values.h"

#include <cstdint>
#include <cstring>

#include "format/scalar.h"
#include "kt_bridge.h"

namespace ds4::ktb {

size_t element_bytes(int io_type) { return io_type == KTB_IO_BF16 ? 2 : 4; }

void load_values(const void *source, int io_type, size_t at, int count, float *out) {
    if (io_type == KTB_IO_F32) {
        std::memcpy(out, static_cast<const uint8_t *>(source) + at * 4, size_t(count) * 4);
        return;
    }
    const uint8_t *words = static_cast<const uint8_t *>(source) + at * 2;
    for (int i = 0; i < count; i++) {
        uint16_t word;
        std::memcpy(&word, words + i * 2, 2);
        out[i] = bf16_to_f32(word);
    }
}

void store_values(const float *values, int count, void *target, int io_type, size_t at) {
    uint8_t *out = static_cast<uint8_t *>(target) + at * element_bytes(io_type);
    if (io_type == KTB_IO_F32) {
        std::memcpy(out, values, size_t(count) * 4);
        return;
    }
    for (int i = 0; i < count; i++) {
        const uint16_t word = f32_to_bf16(values[i]);
        std::memcpy(out + i * 2, &word, 2);
    }
}

} // namespace ds4::ktb
