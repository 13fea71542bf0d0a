// Products of packed matrices with rows of activations: y[row] = W x[row], f32.
//
// A row's result depends on no other row and on no count of rows. The type and the form of the
// activations alone fix the order of every sum.
#pragma once
#include <span>

#include "device/device.h"
#include "kernels/activations/activations.h"
#include "kernels/matmul/packed_matrix.h"

namespace ds4::kernels {

// Which form of the activations a product takes. `exact` is f32 whatever the type. `rounded` is
// int8 for block types and bf16 for FP8, where the activations have that form.
enum class ProductInput : int32_t { exact, rounded };

struct Product {
    PackedMatrix weight;
    const Activations *x = nullptr; // device pointers in a host struct
    ProductInput input = ProductInput::rounded;
    float *y = nullptr;   // device, [rows, y_stride]
    int64_t y_stride = 0; // floats
};

// All products read their own x; every x has the same number of rows. One or few launches.
void matmul(std::span<const Product> products, int32_t rows, device::Stream &stream);

} // namespace ds4::kernels
