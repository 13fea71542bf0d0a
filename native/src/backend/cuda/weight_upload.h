// Brings weights to the GPU: places are given at once, and work is done by all threads at the end.
#pragma once
#include <string>
#include <vector>

#include "base/load_progress.h"
#include "base/thread_pool.h"
#include "device/device.h"
#include "kernels/matmul/packed_matrix.h"
#include "model/model.h"

namespace ds4::cuda {

inline kernels::StoredMatrix stored(const TensorView &view) {
    return {view.type, view.rows, view.cols, view.data, view.scales};
}

class WeightUpload {
  public:
    // memory: takes the device memory of everything that is added.
    explicit WeightUpload(std::vector<device::Memory> &memory) : memory_(memory) {}

    // A matrix; large ones are packed in parts by several threads. name: for messages.
    kernels::PackedMatrix matrix(const TensorView &view, const std::string &name);
    // Decoded to f32, [rows * cols].
    const float *floats(const TensorView &view);
    const float *floats(const std::vector<float> &values);
    const int32_t *ints(std::vector<int32_t> values);
    const uint8_t *raw(const uint8_t *data, uint64_t bytes);
    const uint8_t *const *addresses(std::vector<const uint8_t *> values);
    // A place for parts that place_matrix fills.
    uint8_t *place(uint64_t bytes);
    void place_matrix(const TensorView &view, const std::string &name, uint8_t *to);

    // Packs and copies all that was added. Throws Error(DS4_ERR_FORMAT) with tensor and row of a
    // scale that is no number, and Error(DS4_ERR_CANCELLED).
    void run(ThreadPool &pool, const LoadProgress &progress);

  private:
    struct Job {
        kernels::StoredMatrix part; // data is null: `bytes` are copied as they are
        std::vector<uint8_t> bytes;
        const uint8_t *from = nullptr; // or these, of a file
        uint64_t size = 0;
        uint8_t *to = nullptr;
        uint64_t stored_bytes = 0; // for the progress
        std::string name;
        int64_t first_row = 0; // of the part in its matrix
    };
    void add_bytes(const void *data, uint64_t size, uint8_t *to);
    void run_job(const Job &job, std::vector<uint8_t> &staging, device::Stream &stream) const;

    std::vector<device::Memory> &memory_;
    std::vector<Job> jobs_;
    uint64_t stored_bytes_ = 0;
};

} // namespace ds4::cuda
