#include "api/growable.h"

#include <algorithm>
#include <cstring>

#include "base/fail.h"
#include "ds4.h"

namespace ds4::api {
namespace {

// Longer than any struct will be. It bounds what is read of a struct whose size is garbage.
constexpr uint64_t kLongestStruct = 4096;

// The bytes of whole fields within the first `bytes` bytes of a struct.
uint64_t whole_bytes(const StructLayout &layout, uint64_t bytes) {
    for (const StructField &field : layout.fields)
        if (field.offset < bytes && field.offset + field.bytes > bytes) return field.offset;
    return std::min<uint64_t>(bytes, layout.bytes);
}

} // namespace

void check_struct_bytes(const StructLayout &layout, uint64_t bytes) {
    if (bytes < sizeof(uint32_t) || bytes > kLongestStruct)
        fail(DS4_ERR_ARGUMENT,
             "%s: struct_bytes is %llu; expected sizeof(%s), which is %zu in this library's ds4.h",
             layout.name, (unsigned long long)bytes, layout.name, layout.bytes);
}

void check_nested_bytes(const StructLayout &layout, uint64_t bytes) {
    if (bytes > layout.bytes)
        fail(DS4_ERR_ARGUMENT,
             "%s: struct_bytes is %llu; inside another struct it has at most %zu bytes",
             layout.name, (unsigned long long)bytes, layout.bytes);
}

uint32_t checked_stride(const StructLayout &layout, uint32_t wanted, uint32_t first) {
    if (wanted == 0) return first;
    if (wanted < first || wanted > kLongestStruct)
        fail(DS4_ERR_ARGUMENT,
             "%s: %u bytes an element; expected sizeof(%s), which is %zu in this library's ds4.h",
             layout.name, wanted, layout.name, layout.bytes);
    return wanted;
}

void widen(const StructLayout &layout, const void *raw, uint64_t bytes, void *full) {
    const auto *from = static_cast<const uint8_t *>(raw);
    for (uint64_t i = layout.bytes; i < bytes; i++)
        if (from[i] != 0)
            fail(DS4_ERR_ARGUMENT,
                 "%s has %llu bytes, and byte %llu is %u; this library knows %zu bytes and "
                 "accepts only zeros after them: leave fields of a newer ds4.h at 0, or load a "
                 "newer library",
                 layout.name, (unsigned long long)bytes, (unsigned long long)i, from[i],
                 layout.bytes);
    std::memset(full, 0, layout.bytes);
    std::memcpy(full, raw, whole_bytes(layout, bytes));
}

void narrow(const StructLayout &layout, const void *full, uint64_t begin, void *out,
            uint64_t bytes) {
    const uint64_t known = whole_bytes(layout, bytes);
    auto *to = static_cast<uint8_t *>(out);
    if (known > begin)
        std::memcpy(to + begin, static_cast<const uint8_t *>(full) + begin, known - begin);
    if (bytes > layout.bytes) std::memset(to + layout.bytes, 0, bytes - layout.bytes);
}

} // namespace ds4::api
