#include "backend/cuda/weight_upload.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/fail.h"
#include "ds4.h"
#include "format/convert.h"
#include "format/row_defect.h"
#include "model/tensor_values.h"

namespace ds4::cuda {
namespace {

// Parts of a matrix begin at a multiple of the height of an F8 scale block. Tiles are lower.
constexpr int64_t kPartRows = 128;
constexpr uint64_t kPartBytes = uint64_t(16) << 20; // about; a raw copy is cut exactly

void check_rows(const kernels::StoredMatrix &part, const std::string &name, int64_t first_row) {
    const uint64_t bytes = row_bytes(part.type, uint64_t(part.cols));
    const bool is_f8 = part.type == DS4_TYPE_F8_E4M3;
    const int64_t scale_cols = is_f8 ? (part.cols + kPartRows - 1) / kPartRows : part.cols / 32;
    for (int64_t row = 0; row < part.rows; row++) {
        const uint8_t *scales = part.scales == nullptr
                                    ? nullptr
                                    : part.scales + (is_f8 ? row / kPartRows : row) * scale_cols;
        const char *defect =
            row_defect(part.type, part.data + uint64_t(row) * bytes, scales, part.cols);
        if (defect != nullptr)
            fail(DS4_ERR_FORMAT,
                 "%s, row %lld: %s; the file is damaged (`ds4 verify` reads all of it)",
                 name.c_str(), (long long)(first_row + row), defect);
    }
}

} // namespace

uint8_t *WeightUpload::place(uint64_t bytes) {
    return memory_.emplace_back(std::max<uint64_t>(bytes, 1)).data();
}

void WeightUpload::place_matrix(const TensorView &view, const std::string &name, uint8_t *to) {
    const uint64_t row = std::max<uint64_t>(1, view.data_bytes() / uint64_t(view.rows));
    const int64_t step = std::max<int64_t>(1, int64_t(kPartBytes / row) / kPartRows) * kPartRows;
    for (int64_t begin = 0; begin < view.rows; begin += step) {
        const TensorView part = view.slice_rows(begin, std::min(step, view.rows - begin));
        Job job;
        job.part = stored(part);
        job.size = kernels::packed_bytes(part.type, part.rows, part.cols);
        job.to = to + (begin == 0 ? 0 : kernels::packed_bytes(view.type, begin, view.cols));
        job.stored_bytes = part.data_bytes() + part.scale_bytes();
        job.name = name, job.first_row = begin;
        stored_bytes_ += job.stored_bytes;
        jobs_.push_back(std::move(job));
    }
}

kernels::PackedMatrix WeightUpload::matrix(const TensorView &view, const std::string &name) {
    uint8_t *to = place(kernels::packed_bytes(view.type, view.rows, view.cols));
    place_matrix(view, name, to);
    return {view.type, int32_t(view.rows), int32_t(view.cols), to};
}

void WeightUpload::add_bytes(const void *data, uint64_t size, uint8_t *to) {
    Job job;
    const auto *bytes = static_cast<const uint8_t *>(data);
    job.bytes.assign(bytes, bytes + size);
    job.size = size, job.to = to;
    jobs_.push_back(std::move(job));
}

const float *WeightUpload::floats(const std::vector<float> &values) {
    uint8_t *to = place(values.size() * sizeof(float));
    add_bytes(values.data(), values.size() * sizeof(float), to);
    return reinterpret_cast<const float *>(to);
}

const float *WeightUpload::floats(const TensorView &view) { return floats(floats_of(view)); }

const int32_t *WeightUpload::ints(std::vector<int32_t> values) {
    uint8_t *to = place(values.size() * sizeof(int32_t));
    add_bytes(values.data(), values.size() * sizeof(int32_t), to);
    return reinterpret_cast<const int32_t *>(to);
}

const uint8_t *const *WeightUpload::addresses(std::vector<const uint8_t *> values) {
    uint8_t *to = place(values.size() * sizeof(const uint8_t *));
    add_bytes(values.data(), values.size() * sizeof(const uint8_t *), to);
    return reinterpret_cast<const uint8_t *const *>(to);
}

const uint8_t *WeightUpload::raw(const uint8_t *data, uint64_t bytes) {
    uint8_t *to = place(bytes);
    for (uint64_t begin = 0; begin < bytes; begin += kPartBytes) {
        Job job;
        job.from = data + begin, job.to = to + begin;
        job.size = job.stored_bytes = std::min(kPartBytes, bytes - begin);
        jobs_.push_back(std::move(job));
    }
    stored_bytes_ += bytes;
    return to;
}

void WeightUpload::run_job(const Job &job, std::vector<uint8_t> &staging,
                           device::Stream &stream) const {
    const uint8_t *from = job.from;
    if (!job.bytes.empty()) from = job.bytes.data();
    if (job.part.data != nullptr) {
        check_rows(job.part, job.name, job.first_row);
        if (staging.size() < job.size + 16) staging.resize(job.size + 16);
        uint8_t *out =
            staging.data() + (16 - reinterpret_cast<uintptr_t>(staging.data()) % 16) % 16;
        kernels::pack_matrix(job.part, out);
        from = out;
    }
    stream.to_device(job.to, from, job.size);
    stream.wait();
}

void WeightUpload::run(ThreadPool &pool, const LoadProgress &progress) {
    progress.expect(stored_bytes_);
    std::atomic<size_t> next{0};
    std::atomic<bool> stop{false};
    pool.run([&](int, int) {
        std::vector<uint8_t> staging;
        device::Stream stream(device::Stream::Priority::low);
        for (size_t i = next++; i < jobs_.size() && !stop; i = next++) {
            if (progress.is_cancelled()) {
                stop = true;
                break;
            }
            run_job(jobs_[i], staging, stream);
            progress.add(jobs_[i].stored_bytes);
        }
    });
    if (stop) fail(DS4_ERR_CANCELLED, "loading was cancelled");
    jobs_.clear();
}

} // namespace ds4::cuda
