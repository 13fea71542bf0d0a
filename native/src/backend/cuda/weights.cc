#include "backend/cuda/weights.h"

#include <set>
#include <span>

#include "backend/cuda/weight_upload.h"
#include "base/fail.h"
#include "ds4.h"
#include "model/expected_tensors.h"
#include "model/rope.h"
#include "model/tensor_values.h"

namespace ds4::cuda {
namespace {

// The tensors of one layer, or of the model (layer -1), on their way to the GPU.
struct Source {
    WeightUpload &upload;
    const Model &model;
    int layer;

    const TensorView &view(int kind) const {
        return layer < 0 ? model.global(kind) : model.layer(layer)[kind];
    }
    std::string name(int kind) const {
        const char *of_kind = expected_tensor(model.shape(), kind, layer).name;
        return layer < 0 ? of_kind : "blk." + std::to_string(layer) + "." + of_kind;
    }
    kernels::PackedMatrix matrix(int kind) const { return upload.matrix(view(kind), name(kind)); }
    const float *floats(int kind) const { return upload.floats(view(kind)); }
    MixWeights mix(int fn, int base, int scale) const {
        return {floats(fn), floats(base), floats(scale)};
    }
    CompressorWeights compressor(int values, int gate, int bias, int norm) const {
        return {matrix(values), matrix(gate), floats(bias), floats(norm)};
    }
};

uint64_t bytes_of(const TensorView &view) {
    return kernels::packed_bytes(view.type, view.rows, view.cols);
}

// The offsets of an expert's matrices in its record, and the record's bytes.
struct Record {
    uint64_t up, down, bytes;
    explicit Record(const LayerTensors &t, size_t expert = 0)
        : up(bytes_of(t.gate[expert])), down(up + bytes_of(t.up[expert])),
          bytes(down + bytes_of(t.down[expert])) {}
};

void check_same_types(const LayerTensors &t, int layer) {
    for (size_t e = 1; e < t.gate.size(); e++)
        if (t.gate[e].type != t.gate[0].type || t.up[e].type != t.up[0].type ||
            t.down[e].type != t.down[0].type)
            fail(
                DS4_ERR_FORMAT,
                "layer %d: expert %zu has other weight types than expert 0; the GPU needs the same",
                layer, e);
}

kernels::ExpertBank bank_of(const Source &source, std::span<const LayerWeights> made) {
    const LayerTensors &t = source.model.layer(source.layer);
    const Shape &shape = source.model.shape();
    check_same_types(t, source.layer);
    // Layers that share their bytes in the file share them here: a made-up model of this kind may
    // be larger than the GPU.
    for (const LayerWeights &before : made)
        if (before.first_expert == t.gate[0].data) return before.bank;
    const Record record(t);
    uint8_t *all = source.upload.place(record.bytes * t.gate.size());
    std::vector<const uint8_t *> records;
    for (size_t e = 0; e < t.gate.size(); e++) {
        uint8_t *to = all + e * record.bytes;
        const std::string expert = ", expert " + std::to_string(e);
        const auto place = [&](const TensorView &view, int kind, uint64_t offset) {
            source.upload.place_matrix(view, source.name(kind) + expert, to + offset);
        };
        place(t.gate[e], DS4_TENSOR_EXPERT_GATE, 0);
        place(t.up[e], DS4_TENSOR_EXPERT_UP, record.up);
        place(t.down[e], DS4_TENSOR_EXPERT_DOWN, record.down);
        records.push_back(to);
    }
    return {source.upload.addresses(records),
            t.gate[0].type,
            t.up[0].type,
            t.down[0].type,
            shape.experts,
            shape.hidden,
            shape.moe_intermediate_size,
            int64_t(record.up),
            int64_t(record.down)};
}

void add_attention(const Source &t, LayerWeights &w) {
    const Shape &shape = t.model.shape();
    const LayerShape &facts = shape.layer[size_t(t.layer)];
    w.attention_mix =
        t.mix(DS4_TENSOR_HC_ATTN_FN, DS4_TENSOR_HC_ATTN_BASE, DS4_TENSOR_HC_ATTN_SCALE);
    w.attention_norm = t.floats(DS4_TENSOR_ATTN_NORM);
    w.q_norm = t.floats(DS4_TENSOR_ATTN_Q_A_NORM), w.kv_norm = t.floats(DS4_TENSOR_ATTN_KV_A_NORM);
    w.sinks = t.floats(DS4_TENSOR_ATTN_SINKS);
    w.q_a = t.matrix(DS4_TENSOR_ATTN_Q_A), w.q_b = t.matrix(DS4_TENSOR_ATTN_Q_B);
    w.kv = t.matrix(DS4_TENSOR_ATTN_KV), w.output_b = t.matrix(DS4_TENSOR_ATTN_OUTPUT_B);
    for (int g = 0; g < shape.o_groups; g++)
        w.output_a.push_back(
            t.upload.matrix(t.view(DS4_TENSOR_ATTN_OUTPUT_A)
                                .slice_rows(int64_t(g) * shape.o_lora_rank, shape.o_lora_rank),
                            t.name(DS4_TENSOR_ATTN_OUTPUT_A)));
    if (facts.compress_ratio != 0)
        w.compressor = t.compressor(DS4_TENSOR_COMPRESSOR_KV, DS4_TENSOR_COMPRESSOR_GATE,
                                    DS4_TENSOR_COMPRESSOR_APE, DS4_TENSOR_COMPRESSOR_NORM);
    if (!facts.has_indexer()) return;
    w.index_compressor =
        t.compressor(DS4_TENSOR_INDEXER_COMPRESSOR_KV, DS4_TENSOR_INDEXER_COMPRESSOR_GATE,
                     DS4_TENSOR_INDEXER_COMPRESSOR_APE, DS4_TENSOR_INDEXER_COMPRESSOR_NORM);
    w.index_q = t.matrix(DS4_TENSOR_INDEXER_Q_B);
    w.index_weights = t.matrix(DS4_TENSOR_INDEXER_PROJ);
}

void add_experts(const Source &t, std::span<const LayerWeights> made, LayerWeights &w) {
    const bool hashes = t.model.shape().layer[size_t(t.layer)].hash_routed;
    w.ffn_mix = t.mix(DS4_TENSOR_HC_FFN_FN, DS4_TENSOR_HC_FFN_BASE, DS4_TENSOR_HC_FFN_SCALE);
    w.ffn_norm = t.floats(DS4_TENSOR_FFN_NORM);
    w.router = t.matrix(DS4_TENSOR_ROUTER);
    w.router_table = hashes ? t.upload.ints(ids_of(t.view(DS4_TENSOR_ROUTER_TABLE))) : nullptr;
    w.router_bias = hashes ? nullptr : t.floats(DS4_TENSOR_ROUTER_BIAS);
    w.bank = bank_of(t, made);
    w.first_expert = t.model.layer(t.layer).gate[0].data;
    w.shared_gate = t.matrix(DS4_TENSOR_SHARED_GATE), w.shared_up = t.matrix(DS4_TENSOR_SHARED_UP);
    w.shared_down = t.matrix(DS4_TENSOR_SHARED_DOWN);
}

} // namespace

WeightBytes packed_weight_bytes(const Model &model) {
    WeightBytes bytes;
    std::set<const uint8_t *> banks;
    const auto add = [&](const TensorView &view) {
        if (!view) return;
        const bool is_matrix =
            view.rows > 1 && view.type != DS4_TYPE_I32 && view.type != DS4_TYPE_I64;
        bytes.dense += is_matrix ? bytes_of(view) : uint64_t(view.rows * view.cols) * 4;
    };
    for (int kind = 0; kind < kTensorKinds; kind++) {
        const TensorView &view = model.global(kind);
        if (kind == DS4_TENSOR_TOKEN_EMBD)
            bytes.dense += view.data_bytes() + view.scale_bytes();
        else
            add(view);
    }
    for (const LayerTensors &layer : model.layers()) {
        for (const TensorView &view : layer.single) add(view);
        if (!banks.insert(layer.gate[0].data).second) continue;
        for (size_t e = 0; e < layer.gate.size(); e++) bytes.experts += Record(layer, e).bytes;
    }
    return bytes;
}

Weights::Weights(const Model &model, ThreadPool &pool, const LoadProgress &progress)
    : bytes(packed_weight_bytes(model)) {
    const Shape &shape = model.shape();
    WeightUpload upload(memory_);
    const TensorView &table = model.global(DS4_TENSOR_TOKEN_EMBD);
    embedding = {upload.raw(table.data, table.data_bytes()),
                 table.scales == nullptr ? nullptr : upload.raw(table.scales, table.scale_bytes()),
                 table.type};
    const Source global{upload, model, -1};
    output = global.matrix(DS4_TENSOR_OUTPUT);
    output_norm = global.floats(DS4_TENSOR_OUTPUT_NORM);
    output_mix =
        global.mix(DS4_TENSOR_OUTPUT_HC_FN, DS4_TENSOR_OUTPUT_HC_BASE, DS4_TENSOR_OUTPUT_HC_SCALE);
    window_frequencies = upload.floats(Rope(shape, false).frequencies());
    compressed_frequencies = upload.floats(Rope(shape, true).frequencies());
    for (int l = 0; l < shape.layers; l++) {
        LayerWeights w{};
        const Source source{upload, model, l};
        add_attention(source, w);
        add_experts(source, layers, w);
        layers.push_back(std::move(w));
    }
    upload.run(pool, progress);
}

} // namespace ds4::cuda
