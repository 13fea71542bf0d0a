#include "kernels/row_methods.h"

#include <array>
#include <cstring>

#include "backend/cpu/kernels/row_kernels.h"
#include "ds4.h"
#include "kernels/fp8_reference.h"

namespace ds4::ktb {
namespace {

constexpr int kMaximumInputs = 1 << 16;
constexpr int kDownTokens = 8; // tokens whose sums of one tile lie on the stack
static_assert(size_t(kPanelTokens) * kTileRows * sizeof(float) <= kPanelScratchBytes);

// 64 rows of a tile times prepared activations of its inputs.
struct Product {
    const uint8_t *tile;
    int inputs;
    const uint8_t *const *rows; // [tokens]
    int tokens;
    float *sums; // [tokens, 64]
};

void run(cpu::RowsFunction function, const cpu::Matrix &weight, const Product &product,
         int first_row) {
    cpu::RowsTask task{
        weight,   0, weight.rows, nullptr, nullptr, product.tokens, product.sums + first_row,
        kTileRows};
    task.rows = product.rows;
    function(task);
}

cpu::Matrix matrix_of(Method method, const Product &product, int rows) {
    cpu::Matrix weight;
    weight.type = method_traits(method).type, weight.rows = rows, weight.cols = product.inputs,
    weight.data = product.tile;
    return weight;
}

// Rows 0..31 and 32..63 have scales of their own, one per 128 inputs.
template <Isa kIsa> void multiply_fp8(const Product &product) {
    const cpu::RowsFunction function = cpu::f8_rows_with_f32_scales(kIsa);
    cpu::Matrix half = matrix_of(Method::fp8, product, kTileRows / 2);
    half.scales = product.tile + size_t(kTileRows) * size_t(product.inputs);
    run(function, half, product, 0);
    half.data += size_t(kTileRows / 2) * size_t(product.inputs);
    half.scales += scale_row_bytes(Method::fp8, product.inputs);
    run(function, half, product, kTileRows / 2);
}

// The scale of a row is applied to its sum.
template <Isa kIsa> void multiply_fp8_rows(const Product &product) {
    static constexpr auto kOnes = [] {
        std::array<float, kMaximumInputs / kFp8Block> ones{};
        for (float &one : ones) one = 1.0f;
        return ones;
    }();
    cpu::Matrix weight = matrix_of(Method::fp8_perchannel, product, kTileRows);
    weight.scales = reinterpret_cast<const uint8_t *>(kOnes.data());
    run(cpu::f8_rows_with_f32_scales(kIsa), weight, product, 0);
    float scales[kTileRows];
    std::memcpy(scales, product.tile + size_t(kTileRows) * size_t(product.inputs), sizeof scales);
    for (int t = 0; t < product.tokens; t++)
        for (int row = 0; row < kTileRows; row++) product.sums[t * kTileRows + row] *= scales[row];
}

template <Method kMethod, Isa kIsa, bool kInt8> void multiply(const Product &product) {
    if constexpr (kMethod == Method::fp8)
        return multiply_fp8<kIsa>(product);
    else if constexpr (kMethod == Method::fp8_perchannel)
        return multiply_fp8_rows<kIsa>(product);
    static const cpu::RowKernels kernels = cpu::row_kernels(method_traits(kMethod).type, kIsa);
    run(kInt8 ? kernels.int8 : kernels.f32, matrix_of(kMethod, product, kTileRows), product, 0);
}

template <bool kInt8>
constexpr size_t kGroupBytes = kInt8 ? sizeof(cpu::ActivationGroup) / 4 : kGroup * sizeof(float);

// Multiplies tiles in order, and adds the sum of each to those before it.
template <Method kMethod, Isa kIsa, bool kInt8> void panel(const PanelArgs &args) {
    const int inputs = args.tile_groups * kGroup;
    multiply<kMethod, kIsa, kInt8>({args.tiles, inputs, args.rows, args.tokens, args.sums});
    float *const sums = reinterpret_cast<float *>(args.scratch);
    for (int group = args.tile_groups, tile = 1; group < args.groups;
         group += args.tile_groups, tile++) {
        const uint8_t *rows[kPanelTokens];
        for (int t = 0; t < args.tokens; t++)
            rows[t] = args.rows[t] + size_t(group) * kGroupBytes<kInt8>;
        multiply<kMethod, kIsa, kInt8>(
            {args.tiles + size_t(tile) * args.tile_stride, inputs, rows, args.tokens, sums});
        for (int i = 0; i < args.tokens * kTileRows; i++) args.sums[i] += sums[i];
    }
}

template <Method kMethod, Isa kIsa, bool kInt8> void down(const DownArgs &args) {
    const int inputs = args.tile_groups * kGroup;
    const size_t bytes = tile_bytes(kMethod, inputs);
    for (int first = 0; first < args.tokens; first += kDownTokens) {
        const int tokens = args.tokens - first < kDownTokens ? args.tokens - first : kDownTokens;
        for (int tile = 0; tile < args.row_tiles; tile++) {
            alignas(64) float sums[kDownTokens * kTileRows];
            multiply<kMethod, kIsa, kInt8>(
                {args.tiles + size_t(tile) * bytes, inputs, args.groups + first, tokens, sums});
            for (int t = 0; t < tokens; t++) {
                float *out = args.outputs[first + t] + tile * kTileRows;
                for (int row = 0; row < kTileRows; row++)
                    out[row] = args.first ? sums[t * kTileRows + row]
                                          : out[row] + sums[t * kTileRows + row];
            }
        }
    }
}

template <Isa kIsa> void prepare_int8(const float *x, int groups, uint8_t *out) {
    cpu::quantise_function(kIsa)(x, int64_t(groups) * kGroup,
                                 reinterpret_cast<cpu::ActivationGroup *>(out));
}
void prepare_f32(const float *x, int groups, uint8_t *out) {
    std::memcpy(out, x, size_t(groups) * kGroup * sizeof(float));
}
void prepare_rounded(const float *x, int groups, uint8_t *out) {
    prepare_f32(x, groups, out);
    round_to_bf16(reinterpret_cast<float *>(out), groups * kGroup);
}

struct Products {
    void (*panel)(const PanelArgs &);
    void (*down)(const DownArgs &);
};

template <Method kMethod, Isa kIsa> Products products_of(bool int8) {
    if constexpr (kMethod == Method::q8_0 || kMethod == Method::q2_k || kMethod == Method::q4_k ||
                  kMethod == Method::iq2_xxs)
        if (int8) return {panel<kMethod, kIsa, true>, down<kMethod, kIsa, true>};
    return {panel<kMethod, kIsa, false>, down<kMethod, kIsa, false>};
}

template <Isa kIsa> Products products_for(Method method, bool int8) {
    switch (method) {
    case Method::bf16: return products_of<Method::bf16, kIsa>(int8);
    case Method::fp8: return products_of<Method::fp8, kIsa>(int8);
    case Method::fp8_perchannel: return products_of<Method::fp8_perchannel, kIsa>(int8);
    case Method::q8_0: return products_of<Method::q8_0, kIsa>(int8);
    case Method::q2_k: return products_of<Method::q2_k, kIsa>(int8);
    case Method::q4_k: return products_of<Method::q4_k, kIsa>(int8);
    case Method::iq2_xxs: return products_of<Method::iq2_xxs, kIsa>(int8);
    case Method::mxfp4: break; // its tiles are not rows
    }
    return {nullptr, nullptr};
}

Products products_on(Isa isa, Method method, bool int8) {
    if (isa == Isa::avx512) return products_for<Isa::avx512>(method, int8);
    return isa == Isa::avx2 ? products_for<Isa::avx2>(method, int8)
                            : products_for<Isa::generic>(method, int8);
}

} // namespace

bool has_int8_form(Method method) {
    return method == Method::mxfp4 || method == Method::q8_0 || method == Method::q2_k ||
           method == Method::q4_k || method == Method::iq2_xxs;
}

Kernels row_method_kernels(Method gate_up, Method down, Isa isa, Numerics numerics,
                           const Kernels &base) {
    const bool int8 = numerics == Numerics::int8 && has_int8_form(gate_up);
    const Products inputs = products_on(isa, gate_up, int8), outputs = products_on(isa, down, int8);
    Kernels made = base;
    made.isa = isa_name(isa);
    made.numerics = int8 ? "int8" : numerics == Numerics::f32 ? "f32" : "bf16";
    made.group_bytes = int8 ? kGroupBytes<true> : kGroupBytes<false>;
    made.prepare = numerics == Numerics::f32 ? prepare_f32 : prepare_rounded;
    if (int8)
        made.prepare = isa == Isa::generic ? prepare_int8<Isa::generic> : prepare_int8<Isa::avx2>;
    made.panel = inputs.panel;
    made.down_panel = outputs.panel;
    made.down = outputs.down;
    return made;
}

} // namespace ds4::ktb
