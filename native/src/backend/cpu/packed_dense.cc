#include "backend/cpu/packed_dense.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "backend/cpu/kernels/strips.h"
#include "backend/cpu/weights.h"
#include "base/fail.h"
#include "base/json.h"
#include "base/load_progress.h"
#include "base/thread_pool.h"
#include "ds4.h"
#include "format/convert.h"
#include "format/row_defect.h"
#include "machine/memory.h"
#include "model/model.h"

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

// Matrices whose inputs are always f32, so that strips would not be read.
std::vector<Matrix *> exact_matrices(Weights &weights) {
    std::vector<Matrix *> all;
    for (LayerWeights &w : weights.layers)
        for (Matrix *matrix : {&w.compressor.values, &w.compressor.gate, &w.index_compressor.values,
                               &w.index_compressor.gate, &w.index_weights})
            all.push_back(matrix);
    return all;
}

// Types without scales have no strips. Their rows are copied, since a stream through small pages of
// a file is half as fast as one through huge pages.
bool is_copied(uint32_t type) { return type == DS4_TYPE_F16 || type == DS4_TYPE_BF16; }

uint64_t bytes_of(uint32_t type, int64_t rows, int64_t cols) {
    if (is_copied(type)) return (uint64_t(rows) * row_bytes(type, uint64_t(cols)) + 63) / 64 * 64;
    return packed_bytes(type, rows, cols);
}

uint64_t bytes_of(const Matrix &matrix) { return bytes_of(matrix.type, matrix.rows, matrix.cols); }

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
bool pack_matrix(const Matrix &matrix, ThreadPool &pool, uint8_t *out,
                 const LoadProgress &progress) {
    const int64_t strips = (matrix.rows + kStripRows - 1) / kStripRows,
                  strip_bytes = int64_t(bytes_of(matrix)) / strips;
    std::atomic<bool> defect{false};
    std::atomic<int64_t> packed{0};
    pool.run([&](int worker, int workers) {
        const WorkRange range = share(strips, worker, workers);
        for (int64_t strip = range.begin; strip < range.end && !defect && !progress.is_cancelled();
             strip++) {
            if (has_defect(matrix, strip)) defect = true;
            pack_strip(matrix, strip, out + strip * strip_bytes);
            progress.add(uint64_t(strip_bytes));
            packed.fetch_add(1, std::memory_order_relaxed);
        }
    });
    if (progress.is_cancelled()) fail(DS4_ERR_CANCELLED, "loading was cancelled");
    progress.add(uint64_t((strips - packed) * strip_bytes)); // of a matrix that stays mapped
    return !defect;
}

void copy_rows(const Matrix &matrix, ThreadPool &pool, uint8_t *out, const LoadProgress &progress) {
    const int64_t bytes = int64_t(stored_row_bytes(matrix));
    pool.run([&](int worker, int workers) {
        const WorkRange range = share(matrix.rows, worker, workers);
        for (int64_t row = range.begin; row < range.end && !progress.is_cancelled(); row++)
            std::memcpy(out + row * bytes, matrix.data + row * bytes, size_t(bytes));
    });
    const bool is_whole = !progress.is_cancelled();
    if (!is_whole) fail(DS4_ERR_CANCELLED, "loading was cancelled");
    progress.add(bytes_of(matrix));
}

struct Packable {
    uint64_t bytes = 0, strip_bytes = 0; // with copied rows, and without
    bool has_f8 = false;
};
// As much as dense_matrices take, by their shapes alone.
Packable packable(const Model &model, Isa isa) {
    Packable all;
    const auto add = [&](const TensorView &tensor, int64_t parts) {
        if (!tensor || !(has_strips(tensor.type, isa) || is_copied(tensor.type))) return;
        const uint64_t bytes =
            uint64_t(parts) * bytes_of(tensor.type, tensor.rows / parts, tensor.cols);
        all.bytes += bytes;
        if (!is_copied(tensor.type)) all.strip_bytes += bytes;
        all.has_f8 = all.has_f8 || tensor.type == DS4_TYPE_F8_E4M3;
    };
    for (const LayerTensors &layer : model.layers()) {
        for (const int kind :
             {DS4_TENSOR_ATTN_Q_A, DS4_TENSOR_ATTN_KV, DS4_TENSOR_ATTN_Q_B, DS4_TENSOR_INDEXER_Q_B,
              DS4_TENSOR_ATTN_OUTPUT_B, DS4_TENSOR_SHARED_GATE, DS4_TENSOR_SHARED_UP,
              DS4_TENSOR_SHARED_DOWN})
            add(layer[kind], 1);
        add(layer[DS4_TENSOR_ATTN_OUTPUT_A], model.shape().o_groups);
        for (const int kind : {DS4_TENSOR_COMPRESSOR_KV, DS4_TENSOR_COMPRESSOR_GATE,
                               DS4_TENSOR_INDEXER_COMPRESSOR_KV, DS4_TENSOR_INDEXER_COMPRESSOR_GATE,
                               DS4_TENSOR_INDEXER_PROJ})
            if (is_copied(layer[kind].type)) add(layer[kind], 1);
    }
    add(model.global(DS4_TENSOR_OUTPUT), 1);
    return all;
}

// The reason why `total` bytes of matrices stay mapped, of which some have strips; empty: they do
// not.
std::string reason_to_map(uint64_t total, uint64_t strip_bytes, const DenseWishes &wishes,
                          uint64_t available) {
    if (!wishes.wanted) return "asked for";
    if (wishes.precision == Precision::f32) return "activations are f32";
    if (strip_bytes == 0) return "no matrix has a packed form here";
    if (total + wishes.reserved_bytes <= available) return "";
    return "dense matrices take " + std::to_string(total) + " bytes and a session " +
           std::to_string(wishes.reserved_bytes) + "; " + std::to_string(available) +
           " are available";
}

std::string mapped_description(const std::string &reason) {
    return "{\"place\":\"mapped\",\"reason\":" + json_quoted(reason) + "}";
}

} // namespace

DensePlan plan_dense(const Model &model, const DenseWishes &wishes, uint64_t available) {
    const Packable all = packable(model, wishes.isa);
    const std::string reason = reason_to_map(all.bytes, all.strip_bytes, wishes, available);
    if (!reason.empty()) return {0, wishes.precision, reason};
    return {all.bytes, all.has_f8 ? Precision::int8_bf16 : wishes.precision, ""};
}

std::string DensePlan::describe() const {
    if (!mapped_reason.empty()) return mapped_description(mapped_reason);
    return "{\"place\":\"packed\",\"bytes\":" + std::to_string(bytes) + "}";
}

void PackedDense::pack(Weights &weights, const std::vector<MappedFile> &files, ThreadPool &pool,
                       const DenseWishes &wishes, const LoadProgress &progress) {
    std::vector<Matrix *> matrices;
    uint64_t total = 0, strip_bytes = 0;
    const auto add = [&](Matrix *matrix) {
        matrices.push_back(matrix), total += bytes_of(*matrix);
        if (!is_copied(matrix->type)) strip_bytes += bytes_of(*matrix);
    };
    for (Matrix *matrix : dense_matrices(weights))
        if (matrix->data != nullptr &&
            (has_strips(matrix->type, wishes.isa) || is_copied(matrix->type)))
            add(matrix);
    for (Matrix *matrix : exact_matrices(weights))
        if (matrix->data != nullptr && is_copied(matrix->type)) add(matrix);
    mapped_reason_ = reason_to_map(total, strip_bytes, wishes, machine::available_memory());
    precision_ = wishes.precision;
    if (!mapped_reason_.empty()) return;
    memory_ = machine::Mapping(total, {machine::kEveryNode, machine::HugePages::automatic});
    uint8_t *next = memory_.data();
    for (Matrix *matrix : matrices) {
        take(*matrix, files, pool, next, progress);
        next += bytes_of(*matrix);
    }
}

void PackedDense::take(Matrix &matrix, const std::vector<MappedFile> &files, ThreadPool &pool,
                       uint8_t *out, const LoadProgress &progress) {
    const uint8_t *begin = matrix.data,
                  *end = begin + uint64_t(matrix.rows) * stored_row_bytes(matrix);
    bool is_taken = true;
    if (is_copied(matrix.type))
        copy_rows(matrix, pool, out, progress);
    else
        is_taken = pack_matrix(matrix, pool, out, progress);
    check_pages(files); // zeros in the place of lost bytes may have been packed
    if (!is_taken) return;
    matrices_++;
    if (is_copied(matrix.type))
        matrix.data = out;
    else
        matrix.strips = out;
    if (matrix.type == DS4_TYPE_F8_E4M3) precision_ = Precision::int8_bf16;
    for (const MappedFile &file : files) file.drop(begin, end);
}

std::string PackedDense::describe() const {
    if (!mapped_reason_.empty()) return mapped_description(mapped_reason_);
    return "{\"place\":\"packed\",\"matrices\":" + std::to_string(matrices_) +
           ",\"bytes\":" + std::to_string(bytes()) + "}";
}

} // namespace ds4::cpu
