// Structs of callers that were built with an older or a newer ds4.h. A struct grows at its end
// only, and zero is the default of every field that is added. The fields that a shorter struct
// lacks are 0. A longer one is accepted if all bytes that this library does not know are 0.
#pragma once
#include <cstdint>
#include <vector>

#include "api/struct_layouts.h"

namespace ds4::api {

// Copies a caller's struct of `bytes` bytes into a zeroed one of this library's size. A field that
// the caller's struct ends within is 0. Throws Error(DS4_ERR_ARGUMENT) with the struct's name.
void widen(const StructLayout &layout, const void *raw, uint64_t bytes, void *full);
// The reverse, for a struct that the library fills: bytes from `begin` on. Bytes that it does not
// know become 0.
void narrow(const StructLayout &layout, const void *full, uint64_t begin, void *out,
            uint64_t bytes);
// Throw for a size that no caller's struct can have, alone or at its place in another struct.
void check_struct_bytes(const StructLayout &layout, uint64_t bytes);
void check_nested_bytes(const StructLayout &layout, uint64_t bytes);
// The distance of two elements of an array that a caller gives: `wanted`, or `first` if it is 0.
// first: the element's size in the first ds4.h that had it; no caller's is smaller.
uint32_t checked_stride(const StructLayout &layout, uint32_t wanted, uint32_t first);

template <typename T> T widened(const T *raw) {
    T full{};
    check_struct_bytes(layout_of<T>(), raw->struct_bytes);
    widen(layout_of<T>(), raw, raw->struct_bytes, &full);
    full.struct_bytes = uint32_t(sizeof(T));
    return full;
}

// A struct inside another one has its place there for ever, so it can be shorter and never longer.
template <typename T> T widened_within(const T &nested) {
    check_nested_bytes(layout_of<T>(), nested.struct_bytes);
    return widened(&nested);
}

template <typename T>
std::vector<T> widened_elements(const T *first, uint64_t count, uint32_t stride) {
    std::vector<T> elements(count);
    for (uint64_t i = 0; i < count; i++)
        widen(layout_of<T>(), reinterpret_cast<const uint8_t *>(first) + i * stride, stride,
              &elements[i]);
    return elements;
}

} // namespace ds4::api
