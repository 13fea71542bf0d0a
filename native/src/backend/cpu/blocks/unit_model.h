// The one-layer weights and shape of the recorded unit vectors, for tests of single blocks.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "backend/cpu/context.h"
#include "backend/cpu/weights.h"
#include "base/test_vectors.h"
#include "ds4.h"
#include "format/convert.h"
#include "machine/instruction_sets.h"

namespace ds4::cpu::unit {

inline Shape shape() {
    Shape s{};
    s.layers = 3, s.hidden = 256, s.vocab = 64, s.heads = 4, s.head_dim = 512, s.rope_dim = 64,
    s.q_lora_rank = 128, s.o_groups = 2, s.o_lora_rank = 128;
    s.experts = 5, s.experts_per_token = 3, s.moe_intermediate_size = 512, s.hash_layers = 1,
    s.sliding_window = 16, s.index_heads = 16, s.index_head_dim = 128, s.index_top_k = 6;
    s.streams = 4, s.sinkhorn_iterations = 20, s.context_tokens = 4096, s.normalise_weights = true,
    s.norm_epsilon = 1e-6f, s.hc_epsilon = 1e-6f;
    s.rope_theta = 10000.0f, s.compress_rope_theta = 160000.0f, s.yarn_factor = 16.0f,
    s.yarn_beta_fast = 32.0f, s.yarn_beta_slow = 1.0f;
    s.yarn_original_tokens = 65536, s.routed_scale = 1.5f;
    s.layer = {{0, 10.0f, 10.0f, true}, {4, 10.0f, 10.0f, false}, {128, 10.0f, 10.0f, false}};
    return s;
}

// The context of a block under test, with cache rows stored as asked.
struct Bench {
    Shape dims = shape();
    ThreadPool pool;
    Context context;
    Bench(Isa isa, RowStorage storage, int threads = 2)
        : pool(threads), context{dims,
                                 pool,
                                 isa,
                                 vector_kernels(isa),
                                 cache_kernels(isa),
                                 Precision::f32,
                                 true,
                                 CacheLayout{dims, {512, 64, storage}, {128, storage}},
                                 Rope(dims, false),
                                 Rope(dims, true)} {}
};

inline uint32_t type_of(const std::string &recorded) {
    if (recorded == "F32") return DS4_TYPE_F32;
    if (recorded == "BF16") return DS4_TYPE_BF16;
    if (recorded == "F8_E4M3") return DS4_TYPE_F8_E4M3;
    if (recorded == "I8") return DS4_TYPE_FP4_PACKED;
    throw std::runtime_error("no weight type for " + recorded);
}

// name: without ".weight"; the file must outlive the matrix.
inline Matrix matrix(const test::VectorFile &file, const std::string &name) {
    const test::Recorded &tensor = file[name + ".weight"];
    const uint32_t type = type_of(tensor.type);
    const int64_t cols = type == DS4_TYPE_FP4_PACKED ? tensor.cols() * 2 : tensor.cols();
    const uint8_t *scales = type >= 1000 ? file[name + ".scale"].bytes.data() : nullptr;
    return {type, tensor.rows(), cols, tensor.bytes.data(), scales};
}

inline Floats floats(const test::Recorded &tensor) {
    Floats out(size_t(tensor.count()));
    decode_row(type_of(tensor.type), tensor.bytes.data(), nullptr, out.data(), tensor.count());
    return out;
}

inline void add_attention(LayerWeights &w, const test::VectorFile &file) {
    w.q_a = matrix(file, "attn.wq_a"), w.q_b = matrix(file, "attn.wq_b"),
    w.kv = matrix(file, "attn.wkv"), w.output_b = matrix(file, "attn.wo_b");
    const Matrix output_a = matrix(file, "attn.wo_a");
    for (int g = 0; g < 2; g++)
        w.output_a.push_back(
            {output_a.type, 128, 1024, output_a.data + g * 128 * 1024, output_a.scales + g * 8});
    w.q_norm = floats(file["attn.q_norm.weight"]), w.kv_norm = floats(file["attn.kv_norm.weight"]),
    w.sinks = floats(file["attn.attn_sink"]);
}

inline CompressorWeights compressor(const test::VectorFile &file, const std::string &prefix) {
    return {matrix(file, prefix + ".wkv"), matrix(file, prefix + ".wgate"),
            floats(file[prefix + ".ape"]), floats(file[prefix + ".norm.weight"])};
}

inline std::vector<Isa> every_isa() {
    std::vector<Isa> out;
    for (const Isa isa : {Isa::generic, Isa::avx2, Isa::avx512})
        if (machine::has(isa)) out.push_back(isa);
    return out;
}

} // namespace ds4::cpu::unit
