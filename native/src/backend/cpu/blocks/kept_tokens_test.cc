// Steps of which only the first tokens are kept: a draft that was rejected, or a stop.
#include <algorithm>
#include <string>
#include <vector>

#include "backend/cpu/blocks/attention.h"
#include "backend/cpu/blocks/unit_model.h"
#include "backend/cpu/host_memory.h"
#include "base/error.h"
#include "base/test.h"
#include "kv/snapshot.h"

using namespace ds4;
using namespace ds4::cpu;
using ds4::test::VectorFile;

namespace {

constexpr int64_t kHidden = 256;

struct Numerics {
    Precision precision;
    RowStorage storage;
};
constexpr Numerics kFast{Precision::int8, RowStorage::packed},
    kTrained{Precision::f32, RowStorage::packed}, kPlain{Precision::f32, RowStorage::f32};

// One sequence over a layer of each kind. A layer reads the token's own row, so the outputs of all
// layers depend on the caches alone.
class Layers {
  public:
    explicit Layers(const Numerics &numerics)
        : bench_(machine::best_isa(), numerics.storage, 1), attention_(bench_.context),
          sequence(host_pages(bench_.context.cache), 4096) {
        bench_.context.precision = numerics.precision;
        for (LayerWeights &w : weights_) unit::add_attention(w, attention_file_);
        weights_[1].compressor = unit::compressor(four_, "attn.compressor");
        weights_[1].index_compressor = unit::compressor(four_, "attn.indexer.compressor");
        weights_[1].index_q = unit::matrix(four_, "attn.indexer.wq_b"),
        weights_[1].index_weights = unit::matrix(four_, "attn.indexer.weights_proj");
        weights_[2].compressor = unit::compressor(wide_, "attn.compressor");
    }

    // The outputs of all layers, [layers, count, hidden].
    std::vector<float> stage(const std::vector<int32_t> &tokens) {
        const int64_t count = int64_t(tokens.size()), first = sequence.position();
        std::vector<float> x(size_t(count * kHidden)), window(size_t(count * 64)),
            compressed(size_t(count * 64)), out(size_t(3 * count * kHidden));
        for (int64_t t = 0; t < count; t++) {
            uint32_t state = uint32_t(tokens[size_t(t)]) * 2654435761u + 1;
            for (int64_t i = 0; i < kHidden; i++) {
                state = state * 1664525u + 1013904223u;
                x[size_t(t * kHidden + i)] = float(int32_t(state)) * 0x1p-31f;
            }
            bench_.context.window_rope.angles(uint32_t(first + t), window.data() + t * 64);
            bench_.context.compressed_rope.angles(uint32_t(first + t), compressed.data() + t * 64);
        }
        sequence.reserve(uint32_t(count));
        const SequenceRows rows{&sequence, 0, count, first};
        for (int layer = 0; layer < 3; layer++)
            attention_.run(layer, weights_[layer], {&rows, 1}, {window.data(), compressed.data()},
                           x.data(), count, out.data() + layer * count * kHidden, nullptr);
        return out;
    }
    std::vector<uint8_t> snapshot() {
        std::vector<uint8_t> bytes(sequence.snapshot_bytes());
        write_snapshot(*sequence.mark(), bytes.data());
        return bytes;
    }

  private:
    VectorFile attention_file_{"unit/attention.safetensors"},
        four_{"unit/compressor_r4.safetensors"}, wide_{"unit/compressor_r128.safetensors"};
    LayerWeights weights_[3];
    unit::Bench bench_;
    Attention attention_;

  public:
    Sequence sequence;
};

int32_t token_at(int64_t position) { return int32_t((position * 7919 + 13) % 64); }

std::vector<int32_t> tokens_from(int64_t position, int64_t count) {
    std::vector<int32_t> tokens;
    for (int64_t i = 0; i < count; i++) tokens.push_back(token_at(position + i));
    return tokens;
}

// Steps of `size` tokens, of which a varying number is kept, against a sequence of whole steps.
void check_partial_steps(const Numerics &numerics, int64_t size) {
    Layers plain(numerics), draft(numerics);
    uint32_t state = 7;
    while (draft.sequence.position() < 150) {
        state = state * 1664525u + 1013904223u;
        const int64_t position = draft.sequence.position(), kept = (state >> 16) % uint32_t(size);
        std::vector<int32_t> tokens = tokens_from(position, kept);
        while (int64_t(tokens.size()) < size) tokens.push_back(int32_t(tokens.size()) + 1);
        const std::vector<float> drafted = draft.stage(tokens);
        draft.sequence.commit(tokens.data(), uint32_t(kept));
        CHECK(draft.sequence.position() == position + kept);
        for (int64_t i = 0; i < kept; i++) {
            const std::vector<float> single = plain.stage({tokens[size_t(i)]});
            plain.sequence.commit(&tokens[size_t(i)], 1);
            for (int64_t layer = 0; layer < 3; layer++)
                CHECK(std::equal(single.begin() + layer * kHidden,
                                 single.begin() + (layer + 1) * kHidden,
                                 drafted.begin() + (layer * size + i) * kHidden));
        }
        if (kept > 0) CHECK(draft.snapshot() == plain.snapshot());
    }
}

void step_whole(Layers &layers, int64_t count) {
    const std::vector<int32_t> tokens = tokens_from(layers.sequence.position(), count);
    layers.stage(tokens);
    layers.sequence.commit(tokens.data(), uint32_t(count));
}

} // namespace

TEST("steps of which only some tokens are kept give the bits of a sequence without the others") {
    for (const Numerics &numerics : {kFast, kTrained, kPlain})
        for (const int64_t size : {5, 8}) check_partial_steps(numerics, size);
}

TEST("of a step beyond the longest partial one, all tokens are kept or none") {
    Layers layers(kTrained), plain(kTrained);
    CHECK(layers.sequence.max_partial_step() == 8);
    for (const int64_t before : {0, 131}) {
        if (before > 0) step_whole(layers, before - 9), step_whole(plain, before - 9);
        const std::vector<uint8_t> old = layers.snapshot();
        const std::vector<int32_t> tokens = tokens_from(layers.sequence.position(), 9);
        layers.stage(tokens);
        for (const uint32_t kept : {1u, 8u, 10u}) {
            std::string text;
            try {
                layers.sequence.commit(tokens.data(), kept);
            } catch (const Error &error) {
                CHECK(error.status() == DS4_ERR_ARGUMENT);
                text = error.what();
            }
            CHECK(text.starts_with(std::to_string(kept) + " tokens of a step cannot be kept"));
            CHECK(layers.snapshot() == old);
        }
        layers.sequence.commit(tokens.data(), 0);
        CHECK(layers.snapshot() == old);
        step_whole(layers, 9), step_whole(plain, 9);
        CHECK(layers.snapshot() == plain.snapshot());
    }
}
