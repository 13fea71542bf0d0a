#include "backend/cpu/packed_dense.h"

#include <algorithm>
#include <atomic>

#include "backend/cpu/kernels/strips.h"
#include "backend/cpu/weights.h"
#include "base/json.h"
#include "base/thread_pool.h"
#include "ds4.h"
#include "format/convert.h"
#include "format/row_defect.h"
#include "machine/memory.h"
#include "model/mapped_file.h"

namespace ds4::cpu {
namespace {

// Every matrix that enters products whole, in the order of a step.
std::vector<Matrix *> dense_matrices(Weights &weights) {
    std::vector<Matrix *> all;
    for (LayerWeights &w : weights.layers) {
        for (Matrix *matrix : {&w.q_a, &w.kv, &w.q_b, &w.index_q}) all.push_back(matrix);
        for (Matrix &group : w.output_a) all.push_back(&group);
        for (Matrix *matrix : {&w.output_b, &w.shared_gate, &w.shared_up, &w.shared_down})
            all.push_back(matrix);
    }
    all.push_back(&weights.output);
    return all;
}

uint64_t bytes_of(const Matrix &matrix) {
    return packed_bytes(matrix.type, matrix.rows, matrix.cols);
}

uint64_t stored_row_bytes(const Matrix &matrix) {
    return row_bytes(matrix.type, uint64_t(matrix.cols));
}

bool has_defect(const Matrix &matrix, int64_t strip) {
    const int64_t end = std::min(matrix.rows, (strip + 1) * kStripRows);
    for (int64_t row = strip * kStripRows; row < end; row++) {
        const uint8_t *scales = matrix.scales;
        if (scales != nullptr) scales += row / 128 * ((matrix.cols + 127) / 128); // F8_E4M3
        if (row_defect(matrix.type, matrix.data + uint64_t(row) * stored_row_bytes(matrix), scales,
                       matrix.cols) != nullptr)
            return true;
    }
    return !is_packable(matrix, strip);
}

// false: some row has a defect, or a scale that strips cannot hold.
bool pack_matrix(const Matrix &matrix, ThreadPool &pool, uint8_t *out) {
    const int64_t strips = (matrix.rows + kStripRows - 1) / kStripRows,
                  strip_bytes = int64_t(bytes_of(matrix)) / strips;
    std::atomic<bool> defect{false};
    pool.run([&](int worker, int workers) {
        const WorkRange range = share(strips, worker, workers);
        for (int64_t strip = range.begin; strip < range.end && !defect; strip++) {
            if (has_defect(matrix, strip)) defect = true;
            pack_strip(matrix, strip, out + strip * strip_bytes);
        }
    });
    return !defect;
}

} // namespace

void PackedDense::pack(Weights &weights, const std::vector<MappedFile> &files, ThreadPool &pool,
                       const Wishes &wishes) {
    std::vector<Matrix *> matrices;
    uint64_t total = 0;
    for (Matrix *matrix : dense_matrices(weights))
        if (matrix->data != nullptr && has_strips(matrix->type, wishes.isa)) {
            matrices.push_back(matrix);
            total += bytes_of(*matrix);
        }
    const uint64_t available = machine::available_memory();
    if (!wishes.wanted)
        mapped_reason_ = "asked for";
    else if (wishes.precision == Precision::f32)
        mapped_reason_ = "activations are f32";
    else if (total == 0)
        mapped_reason_ = "no matrix has a packed form here";
    else if (total + wishes.reserved_bytes > available)
        mapped_reason_ = "dense matrices take " + std::to_string(total) + " bytes and a session " +
                         std::to_string(wishes.reserved_bytes) + "; " + std::to_string(available) +
                         " are available";
    precision_ = wishes.precision;
    if (!mapped_reason_.empty()) return;
    memory_ = machine::Mapping(total, {machine::kEveryNode, machine::HugePages::automatic});
    uint8_t *next = memory_.data();
    for (Matrix *matrix : matrices) {
        if (pack_matrix(*matrix, pool, next)) {
            matrix->strips = next, matrices_++;
            if (matrix->type == DS4_TYPE_F8_E4M3) precision_ = Precision::int8_bf16;
        }
        next += bytes_of(*matrix);
        const uint8_t *end = matrix->data + uint64_t(matrix->rows) * stored_row_bytes(*matrix);
        if (matrix->strips != nullptr)
            for (const MappedFile &file : files) file.drop(matrix->data, end);
    }
}

std::string PackedDense::describe() const {
    if (!mapped_reason_.empty())
        return "{\"place\":\"mapped\",\"reason\":" + json_quoted(mapped_reason_) + "}";
    return "{\"place\":\"packed\",\"matrices\":" + std::to_string(matrices_) +
           ",\"bytes\":" + std::to_string(bytes()) + "}";
}

} // namespace ds4::cpu
