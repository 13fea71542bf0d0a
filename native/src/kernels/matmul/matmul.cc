#include "kernels/matmul/matmul.h"

#include "base/fail.h"
#include "ds4.h"
#include "format/convert.h"
#include "kernels/formats/format.h"
#include "kernels/matmul/batch.h"

namespace ds4::kernels {
namespace {

using namespace matmul_detail;

MultiplyBatch function_of(uint32_t type) {
    switch (type) {
    case DS4_TYPE_F32: return multiply_f32;
    case DS4_TYPE_F16: return multiply_f16;
    case DS4_TYPE_BF16: return multiply_bf16;
    case DS4_TYPE_Q8_0: return multiply_q8_0;
    case DS4_TYPE_F8_E4M3: return multiply_f8_e4m3;
    case DS4_TYPE_Q2_K: return multiply_q2_k;
    case DS4_TYPE_Q4_K: return multiply_q4_k;
    case DS4_TYPE_IQ2_XXS: return multiply_iq2_xxs;
    case DS4_TYPE_MXFP4:
    case DS4_TYPE_FP4_PACKED: return multiply_mxfp4;
    default: fail(DS4_ERR_ARGUMENT, "no kernel multiplies a matrix of type %u", type);
    }
}

bool is_exact(const Product &product) {
    if (product.input == ProductInput::exact) return true;
    if (takes_int8(product.weight.type)) return product.x->quants == nullptr;
    return product.weight.type != DS4_TYPE_F8_E4M3 || product.x->halves == nullptr;
}

Kind kind_of(const Product &product) {
    const bool exact = is_exact(product);
    switch (product.weight.type) {
    case DS4_TYPE_F32: return Kind::f32;
    case DS4_TYPE_F16: return Kind::f16;
    case DS4_TYPE_BF16: return Kind::bf16;
    case DS4_TYPE_Q8_0: return exact ? Kind::other : Kind::q8_0_int8;
    case DS4_TYPE_F8_E4M3: return exact ? Kind::other : Kind::f8_e4m3_bf16;
    default: return Kind::other;
    }
}

// Threads load 16 bytes at a time. Scales of a row are whole vectors where columns come in 128s.
bool is_aligned(const Activations &x) {
    const auto at_16 = [](const void *place) {
        return reinterpret_cast<uintptr_t>(place) % 16 == 0;
    };
    return at_16(x.values) && at_16(x.quants) && at_16(x.halves) &&
           (x.cols % formats::kTileCols != 0 || at_16(x.scales));
}

void check(const Product &product, int32_t rows) {
    const Activations *x = product.x;
    if (x == nullptr || x->rows != rows || x->cols != product.weight.cols)
        fail(DS4_ERR_ARGUMENT, "a product of a matrix with %d columns and %d rows of %d values",
             product.weight.cols, x == nullptr ? 0 : x->rows, x == nullptr ? 0 : x->cols);
    if (!is_aligned(*x) || reinterpret_cast<uintptr_t>(product.weight.data) % 256 != 0)
        fail(DS4_ERR_ARGUMENT, "activations must lie at multiples of 16 bytes, matrices at 256");
    if (product.y_stride < product.weight.rows)
        fail(DS4_ERR_ARGUMENT, "%d results do not fit rows of %lld", product.weight.rows,
             (long long)product.y_stride);
}

BatchEntry entry_of(const Product &product) {
    const PackedMatrix &weight = product.weight;
    const formats::HostFormat &format = *formats::host_format(weight.type);
    BatchEntry entry{};
    entry.weight = weight.data;
    entry.values = product.x->values, entry.quants = product.x->quants;
    entry.scales = product.x->scales, entry.halves = product.x->halves;
    entry.y = product.y, entry.y_stride = product.y_stride;
    entry.out_rows = weight.rows, entry.cols = weight.cols;
    entry.strips = int32_t(formats::strips_of(weight.rows));
    entry.tiles = int32_t(formats::tiles_of(weight.cols));
    entry.slice_tiles = (entry.tiles + kSlices - 1) / kSlices;
    entry.kind = kind_of(product);
    entry.strip_bytes = formats::strip_bytes(format.tile_bytes, format.side_bytes, entry.tiles);
    return entry;
}

// Whether one launch may have both.
bool go_together(const Product &a, const Product &b, int32_t rows) {
    if (a.weight.type == b.weight.type && is_exact(a) == is_exact(b)) return true;
    return rows <= kMixedRows && kind_of(a) != Kind::other && kind_of(b) != Kind::other;
}

// like: one of the products, which says what all are unless they are mixed.
void launch(Batch &batch, const Product &like, device::Stream &stream) {
    for (int i = 1; i < batch.count; i++)
        if (batch.entries[i].kind != batch.entries[0].kind) return multiply_mixed(batch, stream);
    function_of(like.weight.type)(batch, is_exact(like), stream);
}

// At most 64 products.
void multiply_some(std::span<const Product> products, int32_t rows, device::Stream &stream) {
    uint64_t done = 0; // a bit a product
    for (size_t first = 0; first < products.size(); first++) {
        if ((done >> first & 1) != 0) continue;
        Batch batch{};
        batch.rows = rows;
        const Product *like = nullptr;
        for (size_t i = first; i < products.size() && batch.count < kBatchEntries; i++) {
            if ((done >> i & 1) != 0 || !go_together(products[first], products[i], rows)) continue;
            done |= uint64_t(1) << i;
            check(products[i], rows);
            if (products[i].weight.rows == 0) continue;
            batch.entries[batch.count++] = entry_of(products[i]);
            like = &products[i];
        }
        if (like != nullptr) launch(batch, *like, stream);
    }
}

} // namespace

void matmul(std::span<const Product> products, int32_t rows, device::Stream &stream) {
    if (rows <= 0) return;
    constexpr size_t kMost = 64;
    for (; products.size() > kMost; products = products.subspan(kMost))
        multiply_some(products.first(kMost), rows, stream);
    multiply_some(products, rows, stream);
}

} // namespace ds4::kernels
