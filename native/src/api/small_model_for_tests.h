// A model of a few thousand random weights in a temporary file, opened through the C interface.
// Test code.
#pragma once
#include <stdlib.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "ds4.h"
#include "format/convert.h"
#include "format/encode.h"
#include "model/expected_tensors.h"
#include "model/shape.h"

namespace ds4::test {

inline void expect_ok(ds4_status status) {
    if (status != DS4_OK)
        throw std::runtime_error("status " + std::to_string(status) + ": " + ds4_last_error());
}

struct SmallModelOptions {
    // Matrices are F32, F16, BF16, or Q8_0 if wide; vectors are F32, the table is I64.
    uint32_t type = DS4_TYPE_F32;
    uint64_t odd = 0;     // every tensor begins this many bytes past a multiple of 64
    uint64_t seed = 0;    // of the weights
    int64_t altered = -1; // the first byte of this tensor has another lowest bit; -1: of none
    int32_t width = 0;    // of hidden rows, experts and ranks, a multiple of 128; 0: small ones
};

// The parts of a model before they are given to the library; a test may change them.
class SmallModel {
  public:
    ds4_shape shape{};
    std::vector<ds4_layer_options> layers{
        {0, 10.0f, 10.0f, 0}, {4, 10.0f, 10.0f, 0}, {128, 10.0f, 0.0f, 0}};
    std::vector<ds4_tensor> tensors;
    std::string names; // NUL-terminated, one after another
    std::string path;

    explicit SmallModel(const SmallModelOptions &options = {}) {
        state_ += options.seed;
        shape.struct_bytes = sizeof shape;
        shape.layers = 3, shape.hidden = 64, shape.vocab = 48, shape.heads = 4,
        shape.head_dim = 128, shape.rope_dim = 64;
        shape.q_lora_rank = 32, shape.o_groups = 2, shape.o_lora_rank = 32, shape.experts = 4,
        shape.experts_per_token = 2;
        shape.moe_intermediate_size = 32, shape.hash_layers = 1, shape.sliding_window = 8,
        shape.index_heads = 2, shape.index_head_dim = 64;
        shape.index_top_k = 3, shape.streams = 4, shape.sinkhorn_iterations = 5,
        shape.context_tokens = 4096;
        shape.normalise_weights = 1, shape.norm_epsilon = 1e-6f, shape.hc_epsilon = 1e-6f,
        shape.rope_theta = 10000.0f;
        shape.compress_rope_theta = 160000.0f, shape.yarn_factor = 16.0f,
        shape.yarn_beta_fast = 32.0f;
        shape.yarn_beta_slow = 1.0f, shape.yarn_original_tokens = 65536, shape.routed_scale = 1.5f;
        if (options.width != 0)
            shape.hidden = shape.q_lora_rank = shape.moe_intermediate_size =
                uint32_t(options.width);
        const Shape facts = make_shape(shape, layers.data(), shape.layers);
        for (int kind = 0; kind < DS4_TENSOR_KIND_COUNT; kind++) {
            const TensorScope scope = expected_tensor(facts, kind, -1).scope;
            if (scope == TensorScope::model)
                add(facts, kind, -1, options);
            else
                for (int layer = 0; layer < facts.layers; layer++) add(facts, kind, layer, options);
        }
        if (options.altered >= 0) bytes_[tensors[size_t(options.altered)].offset] ^= 1;
        char name[] = "/tmp/ds4-small-model-XXXXXX";
        const int file = ::mkstemp(name);
        if (file < 0 || ::write(file, bytes_.data(), bytes_.size()) != ssize_t(bytes_.size()))
            throw std::runtime_error("no temporary file");
        ::close(file);
        path = name;
    }
    ~SmallModel() { ::unlink(path.c_str()); }
    SmallModel(const SmallModel &) = delete;
    SmallModel &operator=(const SmallModel &) = delete;

    uint64_t file_bytes() const { return bytes_.size(); }

    // Without the tensors; the caller closes it.
    ds4_model *create() const {
        ds4_model *model = nullptr;
        uint32_t file = 0;
        expect_ok(ds4_model_create(&shape, layers.data(), uint32_t(layers.size()), &model));
        expect_ok(ds4_model_add_file(model, path.c_str(), &file));
        return model;
    }
    ds4_model *open() const {
        ds4_model *model = create();
        expect_ok(ds4_model_add_tensors(model, tensors.data(), tensors.size(), names.data(),
                                        names.size()));
        expect_ok(ds4_model_seal(model));
        return model;
    }

  private:
    uint32_t random() {
        state_ ^= state_ << 13, state_ ^= state_ >> 7, state_ ^= state_ << 17;
        return uint32_t(state_ >> 32);
    }

    void add(const Shape &facts, int kind, int layer, const SmallModelOptions &options) {
        const ExpectedTensor expected = expected_tensor(facts, kind, layer);
        if (!expected.present) return;
        ds4_tensor tensor{};
        tensor.kind = uint32_t(kind), tensor.layer = layer, tensor.expert = -1;
        tensor.type = expected.use == TensorUse::table    ? uint32_t(DS4_TYPE_I64)
                      : expected.use == TensorUse::vector ? uint32_t(DS4_TYPE_F32)
                                                          : options.type;
        tensor.rows = uint64_t(expected.rows), tensor.cols = uint64_t(expected.cols);
        tensor.depth = expected.scope == TensorScope::expert ? uint64_t(facts.experts) : 1;
        const uint64_t row = row_bytes(tensor.type, tensor.cols);
        tensor.bytes = row * tensor.rows * tensor.depth;
        bytes_.resize((bytes_.size() + 63) / 64 * 64 + options.odd);
        tensor.offset = bytes_.size();
        bytes_.resize(bytes_.size() + tensor.bytes);
        tensor.name_offset = uint32_t(names.size());
        names += expected.name;
        names += '\0';
        std::vector<float> values(tensor.cols);
        for (uint64_t r = 0; r < tensor.rows * tensor.depth; r++) {
            uint8_t *to = bytes_.data() + tensor.offset + r * row;
            if (expected.use == TensorUse::table) {
                for (uint64_t i = 0; i < tensor.cols; i++) {
                    const int64_t id =
                        int64_t(random() % shape.experts); // the same expert twice is legal
                    std::memcpy(to + i * 8, &id, 8);
                }
                continue;
            }
            // eighths: the same value in every type
            for (float &value : values)
                value = float(int32_t(random() % 17) - 8) /
                        (expected.use == TensorUse::vector ? 8.0f : 32.0f);
            encode_row(tensor.type, values.data(), to, int64_t(tensor.cols));
        }
        tensors.push_back(tensor);
    }

    std::vector<uint8_t> bytes_;
    uint64_t state_ = 0x9e3779b97f4a7c15ull;
};

// An engine over a model, with its sessions opened and closed by hand.
struct SmallEngine {
    ds4_model *model;
    ds4_engine *engine = nullptr;
    explicit SmallEngine(const SmallModel &parts, uint32_t threads = 1,
                         uint32_t numerics = DS4_NUMERICS_TRAINED)
        : model(parts.open()) {
        ds4_engine_options options{};
        options.struct_bytes = sizeof options, options.numerics = numerics,
        options.threads = threads, options.max_step_tokens = 64;
        expect_ok(ds4_engine_open(model, &options, &engine));
    }
    ~SmallEngine() {
        ds4_engine_close(engine);
        ds4_model_close(model);
    }
    SmallEngine(const SmallEngine &) = delete;
    SmallEngine &operator=(const SmallEngine &) = delete;

    ds4_session *open_session(uint32_t context_tokens = 4096) const {
        const ds4_session_options options{sizeof options, context_tokens, nullptr};
        ds4_session *session = nullptr;
        expect_ok(ds4_session_open(engine, &options, &session));
        return session;
    }
    uint64_t start(ds4_session *session, const std::vector<int32_t> &prompt,
                   uint32_t max_tokens) const {
        uint64_t job = 0;
        expect_ok(try_start(session, prompt, max_tokens, job));
        return job;
    }
    ds4_status try_start(ds4_session *session, const std::vector<int32_t> &prompt,
                         uint32_t max_tokens, uint64_t &job) const {
        ds4_job_options options{};
        options.struct_bytes = sizeof options, options.max_tokens = max_tokens,
        options.think_close_token = -1;
        options.sampling.struct_bytes = sizeof options.sampling,
        options.sampling.temperature = 1.0f, options.sampling.seed = 7;
        return ds4_job_start(engine, session, &options, prompt.data(), uint32_t(prompt.size()),
                             nullptr, nullptr, 0, &job);
    }
    ds4_job_state poll(uint64_t job) const {
        ds4_job_state state{};
        state.struct_bytes = sizeof state;
        ds4_job_token tokens[16];
        do expect_ok(ds4_job_poll(engine, job, tokens, 16, &state));
        while (state.pending_tokens > 0);
        return state;
    }
    std::vector<float> step(ds4_session *session, const std::vector<int32_t> &tokens) const {
        const ds4_step_item item{session, uint32_t(tokens.size()), DS4_LOGITS_LAST};
        std::vector<float> logits(48);
        expect_ok(ds4_engine_step(engine, &item, 1, tokens.data(), tokens.size(), logits.data(),
                                  logits.size()));
        return logits;
    }
};

} // namespace ds4::test
