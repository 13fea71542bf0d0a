// Weight matrices in device memory. Loading packs each matrix from the file's order into tiles that
// threads read with aligned loads; the values stay exactly the same.
#pragma once
#include <cstdint>

namespace ds4::kernels {

// A matrix as a file stores it, in host memory.
struct StoredMatrix {
    uint32_t type = 0; // DS4_TYPE_*
    int64_t rows = 0, cols = 0;
    const uint8_t *data = nullptr;   // [rows, row bytes], at any address
    const uint8_t *scales = nullptr; // F8_E4M3 and FP4_PACKED only, else null
};

struct PackedMatrix {
    uint32_t type = 0; // DS4_TYPE_* of the file
    int32_t rows = 0, cols = 0;
    const uint8_t *data = nullptr; // packed_bytes() of device memory, at a multiple of 256
    explicit operator bool() const { return data != nullptr; }
};

// Bytes of a packed matrix, a multiple of 256. Throws Error(DS4_ERR_FORMAT) for a type or a shape
// that no kernel takes.
uint64_t packed_bytes(uint32_t type, int64_t rows, int64_t cols);
// Packs on the host: out has packed_bytes(), at a multiple of 16. Threads may pack different
// matrices at once.
void pack_matrix(const StoredMatrix &matrix, uint8_t *out);
// Whether `fast` rounds the input of a product with this type to int8 per 32 channels.
bool takes_int8(uint32_t type);

} // namespace ds4::kernels
