// Products of weight matrices, as stored, with rows of activations: y[i] = W x[i].
//
// Batch invariance: the result of a row of x depends on no other row of the call, nor on threads or
// the split into calls. Every dot product of two rows has one order of summation per instruction
// set and precision.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "backend/cpu/kernels/epilogue.h"
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
    Epilogue *epilogue = nullptr; // nullable; products may share one
};

// Other work of the region, which is taken before the products.
struct SideWork {
    int64_t items = 0;
    std::function<void(int64_t item, int worker)> run;
};

// Products and side work, ready for threads. Work is divided by bytes read and operations, and
// each thread takes a chunk when it has done one.
class Multiplication {
  public:
    Multiplication(int threads, Isa isa, std::span<const Product> products, SideWork side = {});
    ~Multiplication();

    // Whether a second thread would cost more than it saves.
    bool is_small() const { return is_small_; }
    // Runs chunks until none is left. All are done when every thread that called has returned.
    void work(int worker);

  private:
    struct Plan;
    void cut(int threads, int64_t total_cost);
    void run_chunk(size_t &hint, int64_t chunk) const;

    SideWork side_;
    std::vector<Plan> plans_;
    int64_t chunks_ = 0;
    bool is_small_ = true;
    alignas(64) std::atomic<int64_t> next_{0};
};
// Computes all products in one parallel region, or on the caller's thread where they are small.
void multiply(ThreadPool &pool, Isa isa, std::span<const Product> products, SideWork side = {});

// The vector helpers of an instruction set.
const VectorKernels &vector_kernels(Isa isa);

} // namespace ds4::cpu
