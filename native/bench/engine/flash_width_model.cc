#include "engine/flash_width_model.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "format/convert.h"
#include "matvec_weights.h"
#include "model/expected_tensors.h"

namespace ds4::bench {
namespace {

constexpr uint64_t kAlign = 4096;

constexpr uint64_t kSpareRows = 64; // behind the experts, for layers that begin some rows later

// The first layer with the same kind of attention.
int first_alike(int layer) { return layer < 2 ? layer : 2 + layer % 2; }

} // namespace

void expect_ok(ds4_status status, const char *call) {
    if (status == DS4_OK) return;
    std::fprintf(stderr, "%s: %s\n", call, ds4_last_error());
    std::exit(1);
}

uint32_t FlashWidthModel::stored_type(int kind, int layer) const {
    const ExpectedTensor tensor = expected_tensor(shape_, kind, layer);
    if (tensor.use == TensorUse::table) return DS4_TYPE_I32;
    if (tensor.use == TensorUse::vector) return DS4_TYPE_F32;
    switch (kind) {
    case DS4_TENSOR_EXPERT_GATE:
    case DS4_TENSOR_EXPERT_UP: return options_.gate_up_type;
    case DS4_TENSOR_EXPERT_DOWN: return options_.down_type;
    case DS4_TENSOR_OUTPUT:
    case DS4_TENSOR_ATTN_Q_A:
    case DS4_TENSOR_ATTN_Q_B:
    case DS4_TENSOR_ATTN_KV:
    case DS4_TENSOR_ATTN_OUTPUT_A:
    case DS4_TENSOR_ATTN_OUTPUT_B:
    case DS4_TENSOR_SHARED_GATE:
    case DS4_TENSOR_SHARED_UP:
    case DS4_TENSOR_SHARED_DOWN: return DS4_TYPE_Q8_0;
    default: return DS4_TYPE_F16;
    }
}

FlashWidthModel::FlashWidthModel(const FlashWidthOptions &options) : options_(options) {
    const uint32_t layers = options.layers, experts = options.experts, vocab = options.vocab;
    raw_.struct_bytes = sizeof raw_;
    raw_.layers = layers, raw_.hidden = 4096, raw_.vocab = vocab;
    raw_.heads = 64, raw_.head_dim = 512, raw_.rope_dim = 64, raw_.q_lora_rank = 1024;
    raw_.o_groups = 8, raw_.o_lora_rank = 1024;
    raw_.experts = experts, raw_.experts_per_token = 6, raw_.moe_intermediate_size = 2048;
    raw_.hash_layers = 1, raw_.sliding_window = 128;
    raw_.index_heads = 64, raw_.index_head_dim = 128, raw_.index_top_k = 512;
    raw_.streams = 4, raw_.sinkhorn_iterations = 20, raw_.context_tokens = 1u << 20;
    raw_.normalise_weights = 1, raw_.norm_epsilon = 1e-6f, raw_.hc_epsilon = 1e-6f;
    raw_.rope_theta = 10000.0f, raw_.compress_rope_theta = 160000.0f, raw_.yarn_factor = 16.0f;
    raw_.yarn_beta_fast = 32.0f, raw_.yarn_beta_slow = 1.0f, raw_.yarn_original_tokens = 65536;
    raw_.routed_scale = 1.5f;
    for (uint32_t layer = 0; layer < layers; layer++)
        layers_.push_back({layer < 2 ? 0u : layer % 2 == 0 ? 4u : 128u, 10.0f, 10.0f, 0});
    shape_ = make_shape(raw_, layers_.data(), layers);
    lay_out();
}

FlashWidthModel::~FlashWidthModel() {
    ds4_model_close(model_);
    ::close(file_);
}

void FlashWidthModel::lay_out() {
    for (int kind = 0; kind < DS4_TENSOR_KIND_COUNT; kind++) {
        if (expected_tensor(shape_, kind, -1).scope == TensorScope::model)
            add(kind, -1);
        else
            for (int layer = 0; layer < shape_.layers; layer++) add(kind, layer);
    }
    file_ = ::memfd_create("ds4-flash-width-model", 0);
    if (file_ < 0 || ::ftruncate(file_, long(bytes_)) != 0) {
        std::perror("memfd_create");
        std::exit(1);
    }
    void *mapped = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
    if (mapped == MAP_FAILED) {
        std::perror("mmap");
        std::exit(1);
    }
    for (const size_t tensor : filled_)
        fill(tensors_[tensor], static_cast<uint8_t *>(mapped) + tensors_[tensor].offset);
    ::munmap(mapped, bytes_);
    const std::string path = "/proc/self/fd/" + std::to_string(file_);
    uint32_t index = 0;
    expect_ok(ds4_model_create(&raw_, layers_.data(), raw_.layers, &model_), "ds4_model_create");
    expect_ok(ds4_model_add_file(model_, path.c_str(), &index), "ds4_model_add_file");
    expect_ok(ds4_model_add_tensors(model_, tensors_.data(), tensors_.size(), names_.data(),
                                    names_.size()),
              "ds4_model_add_tensors");
    expect_ok(ds4_model_seal(model_), "ds4_model_seal");
}

void FlashWidthModel::add(int kind, int layer) {
    const ExpectedTensor expected = expected_tensor(shape_, kind, layer);
    if (!expected.present) return;
    ds4_tensor tensor{};
    tensor.kind = uint32_t(kind), tensor.layer = layer, tensor.expert = -1;
    tensor.type = stored_type(kind, layer);
    tensor.rows = uint64_t(expected.rows), tensor.cols = uint64_t(expected.cols);
    tensor.depth = expected.scope == TensorScope::expert ? uint64_t(shape_.experts) : 1;
    tensor.bytes = row_bytes(tensor.type, tensor.cols) * tensor.rows * tensor.depth;
    tensor.offset = place(tensor, kind, layer);
    tensor.name_offset = uint32_t(names_.size());
    names_ += expected.name;
    names_ += '\0';
    tensors_.push_back(tensor);
}

uint64_t FlashWidthModel::place(const ds4_tensor &tensor, int kind, int layer) {
    const bool is_expert = tensor.depth > 1;
    const std::pair key(kind, is_expert ? 0 : first_alike(layer));
    const uint64_t row = tensor.bytes / (tensor.rows * tensor.depth),
                   shift = is_expert ? uint64_t(layer) % options_.expert_banks * row : 0;
    if (const auto found = places_.find(key); found != places_.end()) return found->second + shift;
    const uint64_t offset = (bytes_ + kAlign - 1) / kAlign * kAlign;
    bytes_ = offset + tensor.bytes + (is_expert ? kSpareRows * row : 0);
    places_[key] = offset;
    filled_.push_back(tensors_.size());
    return offset;
}

void FlashWidthModel::fill(const ds4_tensor &tensor, uint8_t *bytes) const {
    if (tensor.type == DS4_TYPE_I32) {
        auto *ids = reinterpret_cast<int32_t *>(bytes);
        for (uint64_t i = 0; i < tensor.rows * tensor.cols; i++)
            ids[i] = int32_t((i / tensor.cols * 7 + i % tensor.cols) % uint64_t(shape_.experts));
        return;
    }
    if (tensor.type == DS4_TYPE_F32) {
        auto *values = reinterpret_cast<float *>(bytes);
        for (uint64_t i = 0; i < tensor.rows * tensor.cols; i++)
            values[i] = 0.5f + 0.03125f * float(i % 16);
        return;
    }
    const uint64_t row = tensor.bytes / (tensor.rows * tensor.depth),
                   all = tensor.bytes + (tensor.depth > 1 ? kSpareRows * row : 0);
    bench::fill(bytes, all);
    if (tensor.type != DS4_TYPE_F16) return set_scales(tensor.type, bytes, all, nullptr, 0);
    // a random sign and mantissa under one exponent: magnitudes from 2^-6 to 2^-5
    for (uint64_t i = 0; i + 2 <= tensor.bytes; i += 2) {
        uint16_t bits;
        std::memcpy(&bits, bytes + i, 2);
        bits = uint16_t((bits & 0x83ff) | 9 << 10);
        std::memcpy(bytes + i, &bits, 2);
    }
}

} // namespace ds4::bench
