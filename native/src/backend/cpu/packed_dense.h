// Packs dense matrices into strips (kernels/strips.h) when an engine opens: every quantised matrix
// but routed experts, in huge pages spread over the NUMA nodes. Beside them go the F16 and BF16
// rows of attention, as they are.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "backend/cpu/kernels/operands.h"
#include "machine/placed_memory.h"

namespace ds4 {
class LoadProgress;
class MappedFile;
class Model;
class ThreadPool;
} // namespace ds4

namespace ds4::cpu {

struct Weights;

struct DenseWishes {
    Isa isa;
    Precision precision;
    bool wanted;             // false: the caller asked for mapped matrices
    uint64_t reserved_bytes; // to leave to sessions
};

// Where the dense matrices of a model go, before any is read.
struct DensePlan {
    uint64_t bytes = 0;           // to be packed
    Precision precision;          // the form of activations that the matrices need
    std::string mapped_reason;    // empty: packed
    std::string describe() const; // JSON object
};
// available: bytes of memory.
DensePlan plan_dense(const Model &model, const DenseWishes &wishes, uint64_t available);

class PackedDense {
  public:
    // Packs if everything fits in the memory that is available, and gives up the file's pages
    // behind each matrix. A matrix with a damaged or extreme scale stays mapped, for FirstUse to
    // report. Weights must stay where they are. Throws Error: DS4_ERR_DEVICE_MEMORY, DS4_ERR_IO for
    // a file that is no longer whole, DS4_ERR_CANCELLED when the caller's progress asks for it.
    void pack(Weights &weights, const std::vector<MappedFile> &files, ThreadPool &pool,
              const DenseWishes &wishes, const LoadProgress &progress);
    // The form of activations that the matrices need, at least the wished one.
    Precision precision() const { return precision_; }
    uint64_t bytes() const { return memory_.bytes(); }
    std::string describe() const; // JSON object

  private:
    // Packs or copies one matrix to `out`.
    void take(Matrix &matrix, const std::vector<MappedFile> &files, ThreadPool &pool, uint8_t *out,
              const LoadProgress &progress);

    machine::Mapping memory_;
    Precision precision_ = Precision::f32;
    int matrices_ = 0;
    std::string mapped_reason_; // empty: packed
};

} // namespace ds4::cpu
