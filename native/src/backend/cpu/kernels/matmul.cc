#include "backend/cpu/kernels/matmul.h"

#include <algorithm>
#include <utility>

#include "backend/cpu/kernels/row_kernels.h"
#include "backend/cpu/kernels/strips.h"
#include "base/assert.h"
#include "ds4.h"
#include "format/convert.h"

namespace ds4::cpu {
namespace {

// Workers get rows in multiples of this, because the kernels take four at a time.
constexpr int64_t kRowStep = 8;
// Strips are as wide; a product of more than a few tokens reads activations once for so many rows.
constexpr int64_t kFewTokens = 6, kPanelRows = 128;
// Below this cost, in about bytes, a second thread costs more than it saves.
constexpr int64_t kParallelCost = 48 * 1024;
constexpr int64_t kChunkCost = 512 * 1024;
// Rows of activations below which quantising is not worth a parallel region.
constexpr int64_t kParallelChannels = 64 * 1024;

constexpr int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

int64_t row_groups(int64_t cols) { return round_up(cols, kGroupChannels) / kGroupChannels; }

bool reads_strips(const Product &product) {
    if (product.weight.strips == nullptr) return false;
    return product.x->precision == Precision::int8_bf16 ||
           (product.x->precision == Precision::int8 && product.weight.type == DS4_TYPE_Q8_0);
}

RowsFunction choose(const Product &product, Isa isa) {
    if (reads_strips(product)) return strips_function(product.weight.type, isa);
    const RowKernels kernels = row_kernels(product.weight.type, isa);
    DS4_ASSERT(kernels.f32 != nullptr);
    const bool int8 = product.x->precision != Precision::f32 && kernels.int8 != nullptr;
    return int8 ? kernels.int8 : kernels.f32;
}

} // namespace

uint64_t activation_bytes(int64_t count, int64_t cols, Precision precision) {
    if (precision == Precision::f32) return 0;
    const uint64_t groups = uint64_t(count * row_groups(cols)) * sizeof(ActivationGroup);
    return precision == Precision::int8
               ? groups
               : groups + uint64_t(halves_count(count, cols)) * sizeof(uint16_t);
}

Activations prepare_activations(ThreadPool &pool, Isa isa, const float *values, int64_t count,
                                int64_t cols, Precision precision, void *memory) {
    Activations x{};
    x.count = count, x.cols = cols, x.precision = precision, x.values = values;
    if (precision == Precision::f32) return x;
    auto *groups = static_cast<ActivationGroup *>(memory);
    auto *halves = reinterpret_cast<uint16_t *>(groups + count * row_groups(cols));
    const QuantiseFunction quantise = quantise_function(isa);
    const auto prepare_rows = [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) {
            quantise(values + i * cols, cols, groups + i * row_groups(cols));
            if (precision == Precision::int8_bf16)
                round_to_halves_avx512bf16(values + i * cols, cols, halves + i * kHalvesStride,
                                           count * kHalvesStride);
        }
    };
    if (count * cols < kParallelChannels) {
        prepare_rows(0, count);
    } else {
        pool.run([&](int worker, int workers) {
            const WorkRange range = share(count, worker, workers);
            prepare_rows(range.begin, range.end);
        });
    }
    x.groups = groups;
    if (precision == Precision::int8_bf16) x.halves = halves;
    return x;
}

// A product cut into chunks of rows of about equal cost.
struct Multiplication::Plan {
    RowsTask task;
    RowsFunction function;
    Epilogue *epilogue;
    int64_t row_cost; // bytes read, or the equivalent of its arithmetic
    int64_t row_step, rows_per_chunk;
    int64_t chunk_end; // number of chunks of all products up to this one, included

    Plan(const Product &product, Isa isa);
};

Multiplication::Plan::Plan(const Product &product, Isa isa)
    : task{product.weight, 0,         product.weight.rows, product.x, product.row_index,
           product.count,  product.y, product.y_stride},
      function(choose(product, isa)), epilogue(product.epilogue) {
    const Matrix &weight = product.weight;
    DS4_ASSERT(product.x->cols == weight.cols);
    row_step =
        reads_strips(product) ? (product.count > kFewTokens ? kPanelRows : kStripRows) : kRowStep;
    // One core reads about 20 bytes in the time of 256 multiply-adds.
    row_cost = int64_t(row_bytes(weight.type, uint64_t(weight.cols))) +
               product.count * weight.cols / 12 + 1;
    rows_per_chunk = weight.rows, chunk_end = 0;
    if (epilogue != nullptr) epilogue->expect(weight.rows);
}

Multiplication::Multiplication(int threads, Isa isa, std::span<const Product> products,
                               SideWork side)
    : side_(std::move(side)) {
    plans_.reserve(products.size());
    int64_t total_cost = 0;
    for (const Product &product : products) {
        if (product.count == 0 || product.weight.rows == 0) continue;
        plans_.emplace_back(product, isa);
        total_cost += plans_.back().row_cost * product.weight.rows;
    }
    is_small_ = threads == 1 || (total_cost < kParallelCost && side_.items <= 1);
    cut(threads, total_cost);
}

Multiplication::~Multiplication() = default;

// Chunks are small enough that workers end together, and large enough to stream.
void Multiplication::cut(int threads, int64_t total_cost) {
    const int64_t chunk_cost = std::min(kChunkCost, total_cost / (int64_t(threads) * 8));
    chunks_ = side_.items;
    for (Plan &plan : plans_) {
        if (!is_small_)
            plan.rows_per_chunk = round_up(chunk_cost / plan.row_cost + 1, plan.row_step);
        chunks_ += (plan.task.weight.rows + plan.rows_per_chunk - 1) / plan.rows_per_chunk;
        plan.chunk_end = chunks_;
    }
}

void Multiplication::run_chunk(size_t &hint, int64_t chunk) const {
    while (chunk >= plans_[hint].chunk_end) hint++;
    const Plan &plan = plans_[hint];
    const int64_t first = hint == 0 ? side_.items : plans_[hint - 1].chunk_end;
    RowsTask task = plan.task;
    task.row_begin = (chunk - first) * plan.rows_per_chunk;
    task.row_end = std::min(task.row_begin + plan.rows_per_chunk, task.weight.rows);
    plan.function(task);
    if (plan.epilogue != nullptr) plan.epilogue->done(task.row_begin, task.row_end);
}

void Multiplication::work(int worker) {
    size_t hint = 0;
    for (int64_t chunk = next_.fetch_add(1, std::memory_order_relaxed); chunk < chunks_;
         chunk = next_.fetch_add(1, std::memory_order_relaxed)) {
        if (chunk < side_.items)
            side_.run(chunk, worker);
        else
            run_chunk(hint, chunk);
    }
}

void multiply(ThreadPool &pool, Isa isa, std::span<const Product> products, SideWork side) {
    Multiplication all(pool.threads(), isa, products, std::move(side));
    if (all.is_small())
        all.work(0);
    else
        pool.run([&](int worker, int) { all.work(worker); });
}

} // namespace ds4::cpu
