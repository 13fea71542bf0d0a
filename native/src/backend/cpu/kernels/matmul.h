// Products of weight matrices, as stored, with rows of activations: y[i] = W x[i].
//
// Batch invariance: the result of a row of x depends on no other row of the call, nor on threads or
// the split into calls. Every dot product of two rows has one order of summation per instruction
// set and precision.
#pragma once
#include <cstdint>
#include <span>

#include "backend/cpu/kernels/operands.h"
#include "backend/cpu/kernels/vector_kernels.h"
#include "base/thread_pool.h"

namespace ds4::cpu {

// Bytes of memory for prepare_activations; 0 for f32.
uint64_t activation_bytes(int64_t count, int64_t cols, Precision precision);
Activations prepare_activations(ThreadPool &pool, Isa isa, const float *values, int64_t count,
                                int64_t cols, Precision precision, void *memory);

// One product. It reads rows row_index[0..count) of the activations, or 0..count-1 when row_index
// is null. Result i goes to y + i * y_stride.
struct Product {
    Matrix weight;
    const Activations *x = nullptr;
    const int32_t *row_index = nullptr; // [count], nullable
    int64_t count = 0;
    float *y = nullptr;
    int64_t y_stride = 0;
};
// Computes all products in one parallel region. Work is divided by bytes read and operations.
void multiply(ThreadPool &pool, Isa isa, std::span<const Product> products);

// The vector helpers of an instruction set.
const VectorKernels &vector_kernels(Isa isa);

} // namespace ds4::cpu
