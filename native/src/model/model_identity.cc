#include "model/model_identity.h"

#include <algorithm>

#include "base/checksum.h"
#include "ds4.h"

namespace ds4 {
namespace {

constexpr uint64_t kWhole = 4096, kSample = 64;

template <typename... Facts> void add_facts(Checksum &hash, const Facts &...facts) {
    (hash.add(&facts, sizeof facts), ...);
}

void add_shape(Checksum &hash, const Shape &s) {
    add_facts(hash, s.layers, s.hidden, s.vocab, s.heads, s.head_dim, s.rope_dim, s.q_lora_rank,
              s.o_groups, s.o_lora_rank, s.experts, s.experts_per_token, s.moe_intermediate_size,
              s.hash_layers, s.sliding_window, s.index_heads, s.index_head_dim, s.index_top_k,
              s.streams, s.sinkhorn_iterations, s.context_tokens, s.normalise_weights,
              s.norm_epsilon, s.hc_epsilon, s.rope_theta, s.compress_rope_theta, s.yarn_factor,
              s.yarn_beta_fast, s.yarn_beta_slow, s.yarn_original_tokens, s.routed_scale);
    for (const LayerShape &layer : s.layer)
        add_facts(hash, layer.compress_ratio, layer.swiglu_limit, layer.shared_swiglu_limit,
                  layer.hash_routed);
}

void add_samples(Checksum &hash, const uint8_t *bytes, uint64_t count) {
    if (count <= kWhole) return hash.add(bytes, count);
    for (const uint64_t third : {0, 1, 2, 3}) {
        const uint64_t at = (count - kSample) / 3 * third;
        hash.add(bytes + at, kSample);
    }
}

void add_tensor(Checksum &hash, int kind, int layer, const TensorView &view, bool sampled) {
    if (!view) return;
    add_facts(hash, kind, layer, view.type, view.rows, view.cols);
    if (!sampled) return;
    add_samples(hash, view.data, view.data_bytes());
    if (view.scales != nullptr) add_samples(hash, view.scales, view.scale_bytes());
}

void add_experts(Checksum &hash, int kind, int layer, const std::vector<TensorView> &experts) {
    const size_t count = experts.size();
    for (size_t e = 0; e < count; e++) {
        const bool sampled = e == 0 || e == count / 3 || e == count * 2 / 3 || e + 1 == count;
        add_tensor(hash, kind, layer, experts[e], sampled);
    }
}

} // namespace

uint64_t model_identity(const Model &model) {
    // With read-ahead, samples of a cold file would take a third of it from the disk.
    for (const MappedFile &file : model.files()) file.read_ahead(false);
    Checksum hash;
    add_shape(hash, model.shape());
    for (int kind = 0; kind < kTensorKinds; kind++)
        add_tensor(hash, kind, -1, model.global(kind), true);
    for (int l = 0; l < model.shape().layers; l++) {
        const LayerTensors &layer = model.layer(l);
        for (int kind = 0; kind < kTensorKinds; kind++)
            add_tensor(hash, kind, l, layer[kind], true);
        for (const int kind :
             {DS4_TENSOR_EXPERT_GATE, DS4_TENSOR_EXPERT_UP, DS4_TENSOR_EXPERT_DOWN})
            add_experts(hash, kind, l, layer.experts_of(kind));
    }
    for (const MappedFile &file : model.files()) file.read_ahead(true);
    return hash.value();
}

} // namespace ds4
