#include "backend/cpu/first_use.h"

#include <atomic>
#include <string>

#include "backend/cpu/weights.h"
#include "base/fail.h"
#include "ds4.h"
#include "format/convert.h"
#include "format/row_defect.h"

namespace ds4::cpu {

void FirstUse::check(const Matrix &matrix, int layer, const char *name, int expert) {
    if (matrix.data == nullptr) return;   // a layer without this tensor
    if (matrix.strips != nullptr) return; // packing has read it
    const TypeTraits &traits = *type_traits(matrix.type);
    if (traits.block_elements == 1 && !traits.separate_scales) return; // plain types have no scales
    const uint64_t bytes = row_bytes(matrix.type, uint64_t(matrix.cols));
    const int64_t scale_cols =
        matrix.type == DS4_TYPE_F8_E4M3 ? (matrix.cols + 127) / 128 : matrix.cols / 32;
    const auto defect_of = [&](int64_t row) {
        const int64_t scale_row = matrix.type == DS4_TYPE_F8_E4M3 ? row / 128 : row;
        const uint8_t *scales =
            matrix.scales == nullptr ? nullptr : matrix.scales + scale_row * scale_cols;
        return row_defect(matrix.type, matrix.data + uint64_t(row) * bytes, scales, matrix.cols);
    };
    std::atomic<int64_t> first_bad{matrix.rows};
    pool_.run([&](int worker, int workers) {
        const WorkRange range = share(matrix.rows, worker, workers);
        int64_t row = range.begin;
        while (row < range.end && defect_of(row) == nullptr) row++;
        if (row == range.end) return;
        int64_t lowest = first_bad.load();
        while (row < lowest && !first_bad.compare_exchange_weak(lowest, row)) {
        }
    });
    const int64_t bad = first_bad.load();
    if (bad == matrix.rows) return;
    const std::string where = layer < 0
                                  ? name
                                  : "blk." + std::to_string(layer) + "." + name +
                                        (expert < 0 ? "" : ", expert " + std::to_string(expert));
    fail(DS4_ERR_FORMAT, "%s, row %lld: %s; the file is damaged (`ds4 verify` reads all of it)",
         where.c_str(), (long long)bad, defect_of(bad));
}

void FirstUse::layer(int layer, const LayerWeights &w) {
    if (layer_done_[size_t(layer)] != 0) return;
    const struct {
        const Matrix &matrix;
        const char *name;
    } matrices[] = {
        {w.attention_mix.fn, "hc_attn_fn.weight"},
        {w.ffn_mix.fn, "hc_ffn_fn.weight"},
        {w.q_a, "attn_q_a.weight"},
        {w.q_b, "attn_q_b.weight"},
        {w.kv, "attn_kv.weight"},
        {w.output_b, "attn_output_b.weight"},
        {w.compressor.values, "attn_compressor_kv.weight"},
        {w.compressor.gate, "attn_compressor_gate.weight"},
        {w.index_compressor.values, "indexer_compressor_kv.weight"},
        {w.index_compressor.gate, "indexer_compressor_gate.weight"},
        {w.index_q, "indexer.attn_q_b.weight"},
        {w.index_weights, "indexer.proj.weight"},
        {w.router, "ffn_gate_inp.weight"},
        {w.shared_gate, "ffn_gate_shexp.weight"},
        {w.shared_up, "ffn_up_shexp.weight"},
        {w.shared_down, "ffn_down_shexp.weight"},
    };
    for (const auto &[matrix, name] : matrices) check(matrix, layer, name, -1);
    for (const Matrix &group : w.output_a) check(group, layer, "attn_output_a.weight", -1);
    layer_done_[size_t(layer)] = 1;
}

void FirstUse::expert(int layer, int expert, const LayerWeights &w) {
    uint8_t &done = expert_done_[size_t(layer) * size_t(experts_) + size_t(expert)];
    if (done != 0) return;
    check(w.gate[size_t(expert)], layer, "ffn_gate_exps.weight", expert);
    check(w.up[size_t(expert)], layer, "ffn_up_exps.weight", expert);
    check(w.down[size_t(expert)], layer, "ffn_down_exps.weight", expert);
    done = 1;
}

void FirstUse::output(const Matrix &matrix) {
    if (output_done_) return;
    check(matrix, -1, "output.weight", -1);
    output_done_ = true;
}

} // namespace ds4::cpu
