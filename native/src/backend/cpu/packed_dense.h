// Packs dense matrices into strips (kernels/strips.h) when an engine opens: every quantised matrix
// but routed experts, in huge pages spread over the NUMA nodes.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "backend/cpu/kernels/operands.h"
#include "machine/placed_memory.h"

namespace ds4 {
class MappedFile;
class ThreadPool;
} // namespace ds4

namespace ds4::cpu {

struct Weights;

class PackedDense {
  public:
    struct Wishes {
        Isa isa;
        Precision precision;
        bool wanted;             // false: the caller asked for mapped matrices
        uint64_t reserved_bytes; // to leave to sessions
    };
    // Packs if everything fits in the memory that is available, and gives up the file's pages
    // behind each matrix. A matrix with a damaged or extreme scale stays mapped, for FirstUse to
    // report. Weights must stay where they are. Throws Error(DS4_ERR_DEVICE_MEMORY).
    void pack(Weights &weights, const std::vector<MappedFile> &files, ThreadPool &pool,
              const Wishes &wishes);
    // The form of activations that the matrices need, at least the wished one.
    Precision precision() const { return precision_; }
    uint64_t bytes() const { return memory_.bytes(); }
    std::string describe() const; // JSON object

  private:
    machine::Mapping memory_;
    Precision precision_ = Precision::f32;
    int matrices_ = 0;
    std::string mapped_reason_; // empty: packed
};

} // namespace ds4::cpu
