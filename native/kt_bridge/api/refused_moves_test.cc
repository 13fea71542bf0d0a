// Moves of experts that are refused or fail.
#include <atomic>

#include "api/handles.h"
#include "api/slots_layers.h"
#include "base/test.h"
#include "experts/loading/memory_source.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

namespace {

constexpr Shape kShape{6, 2, 256, 512};

StoredExperts experts_of(const std::string &gate_up, const std::string &down, uint64_t seed) {
    return StoredExperts(storage_named(gate_up), storage_named(down), kShape, seed);
}

// Slots and packed bytes of a layer.
struct LayerContents {
    LayerContents(ktb_moe_t moe, int parts) : slots(6) {
        ktb_moe_slots(moe, slots.data());
        for (int expert = 0; expert < 6; expert++)
            packed.push_back(packed_bytes(moe, parts, expert));
    }
    bool operator==(const LayerContents &) const = default;
    std::vector<int32_t> slots;
    std::vector<std::vector<uint8_t>> packed;
};

// A source whose matrices turn bad once they have been read `good` times.
class ChangingSource : public MemorySource {
  public:
    ChangingSource(const SourceShape &shape, const ktb_matrix *const matrices[3], int first,
                   int good)
        : MemorySource(shape, matrices, first), left_(good) {}
    const uint8_t *codes(int expert, int matrix, int begin, int rows,
                         uint8_t *staging) const override {
        if (left_.fetch_sub(1) <= 0) fail(KTB_ERR_FORMAT, "the bytes have changed");
        return MemorySource::codes(expert, matrix, begin, rows, staging);
    }

  private:
    mutable std::atomic<int> left_;
};

} // namespace

TEST("a refused move leaves slots, packed bytes and forwards as they were") {
    for (const char *name : {"FP4", "MXFP4", "FP8", "BF16", "Q8_0"}) {
        StoredExperts experts = experts_of(name, name, 73);
        TestEngine host(options_for("auto", "f32", 2, 2));
        ktb_moe_t moe = host.load(experts, {0, 3});
        const LayerContents before(moe, 2);
        Call call(kShape, 5, {0, 3});
        const std::vector<float> expected = call.run(moe);
        const auto refused = [&](int leaving, int entering, int code, const char *text) {
            CHECK(move_expert(moe, leaving, entering, experts) == code && last_error_has(text));
            CHECK(LayerContents(moe, 2) == before && ktb_status(moe) == 0);
        };
        refused(1, 2, KTB_ERR_ARGUMENT, "expert 1 cannot leave, for it has no slot");
        refused(0, 3, KTB_ERR_ARGUMENT, "expert 3 cannot enter, for it is in slot 1");
        for (const int matrix : {0, 1, 2}) { // the last value of the last piece
            StoredValues &values = experts.values[matrix][5];
            const StoredValues good = values;
            if (values.format == KTB_FORMAT_FP4 || values.format == KTB_FORMAT_FP8)
                values.scales.back() = 255;
            else if (values.format == KTB_FORMAT_MXFP4)
                values.data[values.data.size() - 17] = 255;
            else if (values.format == KTB_FORMAT_BF16)
                values.data.back() = 0x7f, values.data[values.data.size() - 2] = 0xc0;
            else
                values.data[values.data.size() - 33] = 0x7c,
                                                 values.data[values.data.size() - 34] = 0;
            refused(0, 5, KTB_ERR_FORMAT,
                    matrix == 0   ? "expert 5 w1"
                    : matrix == 1 ? "expert 5 w3"
                                  : "expert 5 w2");
            values = good;
            values.data.pop_back();
            refused(0, 5, KTB_ERR_FORMAT, "bytes");
            values = good;
            values.format = KTB_FORMAT_Q2_K;
            refused(0, 5, KTB_ERR_FORMAT, "does not belong to a layer of");
            values = good;
        }
        const ktb_matrix matrix = experts.values[0][5].matrix();
        CHECK(ktb_moe_move_expert(moe, 0, 6, &matrix, &matrix, &matrix, nullptr) ==
                  KTB_ERR_ARGUMENT &&
              ktb_moe_move_expert(moe, -1, 5, &matrix, &matrix, &matrix, nullptr) ==
                  KTB_ERR_ARGUMENT);
        CHECK(ktb_moe_move_expert(moe, 0, 5, &matrix, nullptr, &matrix, nullptr) ==
                  KTB_ERR_ARGUMENT &&
              ktb_moe_move_expert(nullptr, 0, 5, &matrix, &matrix, &matrix, nullptr) ==
                  KTB_ERR_ARGUMENT);
        CHECK(LayerContents(moe, 2) == before && same_bits(call.run(moe), expected));
        CHECK(move_expert(moe, 0, 5, experts) == 0 && !(LayerContents(moe, 2) == before));
        CHECK(call.run(moe).size() == expected.size() &&
              call.status == KTB_ERR_ARGUMENT); // expert 0 has left
    }
}

TEST("a layer without weights has nothing to move, and one with all experts can replace the bytes "
     "of one") {
    const StoredExperts experts = experts_of("FP4", "FP4", 74),
                        others = experts_of("FP4", "FP4", 75);
    TestEngine host(options_for("auto", "int8", 1, 2));
    ktb_moe_t moe = host.add(experts), other = host.load(others);
    CHECK(move_expert(moe, 0, 1, experts) == KTB_ERR_STATE && last_error_has("has no weights"));
    CHECK(load_kept(moe, experts) == 0 && move_expert(moe, 4, 4, others) == 0);
    Call fourth(kShape, 4, {4}), rest(kShape, 4, {0, 1, 2, 3, 5});
    const std::vector<float> expected = fourth.run(other);
    CHECK(same_bits(fourth.run(moe), expected) && !same_bits(rest.run(moe), rest.run(other)));
}

TEST("matrices that change after they were checked cost the layer its weights and nothing else") {
    const StoredExperts experts = experts_of("FP4", "FP4", 77);
    TestEngine host(options_for("auto", "int8", 1, 2));
    ktb_moe_t moe = host.load(experts, {0, 1});
    const ktb_matrix gate = experts.values[0][2].matrix(), up = experts.values[1][2].matrix(),
                     down = experts.values[2][2].matrix();
    const ktb_matrix *const matrices[3] = {&gate, &up, &down};
    const SourceShape shape{moe->layer->shape, moe->layer->methods, 0, {2}};
    const LayerContents before(moe, 1);
    constexpr int kReads =
        3; // 64 KiB of codes in each matrix: one piece of gate and up, one of down
    for (int good = 0; good < kReads; good++) { // found while checking
        CHECK(guarded([&] {
                  return moe->layer->engine->move(
                             *moe->layer, 0,
                             std::make_shared<ChangingSource>(shape, matrices, 2, good)),
                         0;
              }) == KTB_ERR_FORMAT);
        CHECK(LayerContents(moe, 1) == before && ktb_status(moe) == 0);
    }
    CHECK(guarded([&] {
              return moe->layer->engine->move(
                         *moe->layer, 0,
                         std::make_shared<ChangingSource>(shape, matrices, 2, kReads + 1)),
                     0;
          }) == KTB_ERR_FORMAT);
    CHECK(ktb_status(moe) == KTB_ERR_FORMAT && packed_bytes(moe, 1, 1).empty());
    Call call(kShape, 2, {1});
    CHECK(std::isnan(call.run(moe)[0]) && call.status == KTB_ERR_STATE);
    CHECK(load_kept(moe, experts) == 0 && LayerContents(moe, 1) == before);
}

TEST("a layer is not destroyed while a move is queued") {
    const StoredExperts experts = experts_of("FP4", "FP4", 79);
    TestEngine host("{\"external\":1}");
    ktb_moe_t moe = host.load(experts, {0});
    uint64_t ticket = 0;
    CHECK(move_expert(moe, 0, 1, experts, &ticket) == 0);
    ktb_moe_destroy(moe);
    CHECK(last_error_has("has 1 jobs queued or running"));
    CHECK(ktb_moe_keep_experts(moe, 6, nullptr) == KTB_ERR_STATE);
    CHECK(finish(host.engine, ticket, 1) == 0 && packed_bytes(moe, 1, 0).empty() &&
          !packed_bytes(moe, 1, 1).empty());
}
