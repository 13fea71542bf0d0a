// Experts that take each other's slots between forwards.
#include <atomic>

#include "api/handles.h"
#include "api/slots_layers.h"
#include "base/test.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

namespace {

constexpr Shape kShape{6, 2, 256, 512};

StoredExperts experts_of(const std::string &gate_up, const std::string &down, uint64_t seed) {
    return StoredExperts(storage_named(gate_up), storage_named(down), kShape, seed);
}

} // namespace

TEST("forwards queued before a move use the old expert and those after it the new one, in any "
     "number") {
    const StoredExperts experts = experts_of("FP4", "FP4", 71);
    for (const auto &[options, external] :
         {std::pair<std::string, int>{options_for("auto", "int8", 1, 1), 0},
          {options_for("auto", "int8", 1, 2), 0},
          {options_for("auto", "bf16", 2, 2), 0},
          {options_for("auto", "int8", 4, 4), 0},
          {"{\"external\":1}", 1},
          {"{\"external\":3}", 3}}) {
        TestEngine host(options);
        ktb_moe_t whole = host.load(experts), moe = host.load(experts, {4, 1});
        std::vector<Call> calls;
        std::vector<std::vector<float>> expected;
        for (int expert = 0; expert < 6; expert++) {
            calls.emplace_back(kShape, 1 + expert * 4, std::vector<int32_t>{expert},
                               80 + uint64_t(expert));
            expected.push_back(calls.back().run(whole));
        }
        std::vector<int32_t> present = {4, 1}; // by slot
        struct Asked {
            int expert, code;
            std::vector<float> output;
            uint64_t ticket;
        };
        std::vector<Asked> asked(240);
        uint64_t moves[240] = {}, last = 0;
        for (size_t i = 0; i < asked.size(); i++) {
            asked[i].expert = int(i * 7 / 3) % 6;
            asked[i].code =
                std::find(present.begin(), present.end(), asked[i].expert) == present.end()
                    ? KTB_ERR_ARGUMENT
                    : 0;
            CHECK(calls[size_t(asked[i].expert)].submit(moe, asked[i].output, asked[i].ticket) ==
                  0);
            const int entering = int(i * 5 / 2) % 6;
            if (std::find(present.begin(), present.end(), entering) == present.end()) {
                CHECK(move_expert(moe, present[i % 2], entering, experts, &moves[i]) == 0);
                present[i % 2] = entering;
            }
            last = std::max({last, asked[i].ticket, moves[i]});
        }
        finish(host.engine, last, external);
        int done = 0, refused = 0;
        for (size_t i = 0; i < asked.size(); i++) {
            CHECK(moves[i] == 0 || ktb_engine_wait(host.engine, moves[i], 0) == 0);
            (asked[i].code == 0 ? done : refused)++;
            if (asked[i].code == 0)
                CHECK(ktb_engine_wait(host.engine, asked[i].ticket, 0) == 0 &&
                      same_bits(asked[i].output, expected[size_t(asked[i].expert)]));
            else
                CHECK(std::isnan(asked[i].output[0])); // nothing written
        }
        CHECK(done > 50 && refused > 50);
        std::vector<int32_t> slots(6);
        CHECK(ktb_moe_slots(moe, slots.data()) == 2 && slots[size_t(present[0])] == 0 &&
              slots[size_t(present[1])] == 1);
    }
}

TEST("every expert goes through one slot and comes out as it went in, for every method and split") {
    for (const StorageCase &storage : kStorageCases)
        for (const int parts : {1, 2, 4}) {
            const StorageCase &down =
                std::string(storage.name) == "Q4_K" ? storage_named("Q2_K") : storage;
            const StoredExperts experts(storage, down, kShape, 72);
            TestEngine host(options_for("auto", "f32", parts, parts));
            ktb_moe_t whole = host.load(experts), moe = host.load(experts, {2});
            if (host.status != 0)
                return ds4::test::record(__FILE__, __LINE__,
                                         std::string(storage.name) + ": " + ktb_last_error());
            int here = 2;
            for (const int entering : {5, 0, 0, 3, 1, 4, 2}) {
                for (int which = 1; which <= 3; which++) { // the expert that leaves, for a GPU
                    const size_t matrix = which == 1   ? 0
                                          : which == 2 ? 2
                                                       : 1,
                                 room = experts.values[matrix][0].data.size() * 2;
                    std::vector<uint8_t> codes(room), scales(room), whole_codes(room),
                        whole_scales(room);
                    CHECK(ktb_moe_export_expert(moe, here, which, codes.data(), room, scales.data(),
                                                room) == 0);
                    CHECK(ktb_moe_export_expert(whole, here, which, whole_codes.data(), room,
                                                whole_scales.data(), room) == 0);
                    CHECK(codes == whole_codes && scales == whole_scales);
                }
                CHECK(move_expert(moe, here, entering, experts) == 0);
                here = entering;
                CHECK(packed_bytes(moe, parts, here) == packed_bytes(whole, parts, here));
                Call call(kShape, 3, {here});
                const std::vector<float> expected = call.run(whole);
                CHECK(same_bits(call.run(moe), expected) && call.status == 0);
            }
        }
}

TEST("an expert that enters with scales in another format is exported in that format, and the "
     "others in theirs") {
    const StoredExperts bytes = experts_of("FP8", "FP8", 80),
                        floats = experts_of("FP8_F32", "FP8_F32", 80);
    TestEngine host(options_for("auto", "f32", 2, 2));
    ktb_moe_t moe = host.load(bytes, {4, 0}), whole = host.load(floats);
    CHECK(move_expert(moe, 0, 3, floats) == 0);
    for (const auto &[expert, experts] :
         {std::pair<int, const StoredExperts *>{3, &floats}, {4, &bytes}})
        for (int which = 1; which <= 3; which++) {
            const StoredValues &stored = experts->values[which == 1   ? 0
                                                         : which == 2 ? 2
                                                                      : 1][size_t(expert)];
            std::vector<uint8_t> codes(stored.data.size()), scales(stored.scales.size());
            CHECK(ktb_moe_export_expert(moe, expert, which, codes.data(), codes.size(),
                                        scales.data(), scales.size()) == 0 &&
                  codes == stored.data && scales == stored.scales);
        }
    Call call(kShape, 3, {3});
    const std::vector<float> expected = call.run(whole);
    CHECK(same_bits(call.run(moe), expected));
}

TEST("an expert that cannot be folded counts only while it is here") {
    StoredExperts experts = experts_of("FP4", "FP4", 76);
    experts.values[2][5].scales[77] = 1;
    TestEngine host(options_for("auto", "int8", 1, 1));
    ktb_moe_t whole = host.load(experts), moe = host.load(experts, {1, 2});
    CHECK(!whole->layer->weights->scales_fold() && moe->layer->weights->scales_fold());
    for (const auto &[leaving, entering] : {std::pair{1, 5}, {2, 0}, {5, 3}}) {
        CHECK(move_expert(moe, leaving, entering, experts) == 0);
        CHECK(moe->layer->weights->scales_fold() == (entering == 3));
    }
}

TEST("exports, descriptions and forwards of other threads go on while experts move") {
    const StoredExperts experts = experts_of("FP4", "FP4", 78);
    TestEngine host(options_for("auto", "int8", 2, 2));
    ktb_moe_t moe = host.load(experts, {0, 1, 2});
    const StoredValues &kept = experts.values[0][1];
    std::atomic<bool> stop{false};
    std::atomic<int> wrong{0}, exports{0};
    std::thread reader([&] {
        std::vector<uint8_t> codes(kept.data.size()), scales(kept.scales.size());
        std::vector<int32_t> slots(6);
        while (!stop) {
            wrong += ktb_moe_export_expert(moe, 1, 1, codes.data(), codes.size(), scales.data(),
                                           scales.size()) == 0 &&
                             codes == kept.data && scales == kept.scales
                         ? 0
                         : 1;
            const int code = ktb_moe_export_expert(moe, 0, 1, codes.data(), codes.size(),
                                                   scales.data(), scales.size());
            wrong +=
                code == KTB_ERR_STATE || (code == 0 && codes == experts.values[0][0].data) ? 0 : 1;
            wrong += ktb_moe_slots(moe, slots.data()) == 3 && slots[1] == 1 ? 0 : 1;
            host.description();
            exports++;
        }
    });
    std::thread caller([&] {
        Call call(kShape, 3, {1});
        const std::vector<float> expected = call.run(moe);
        while (!stop) wrong += same_bits(call.run(moe), expected) ? 0 : 1;
    });
    int here = 0;
    for (int i = 0; i < 200 || exports < 5; i++) {
        const int entering = here == 0 ? 3 + i % 3 : 0;
        wrong += move_expert(moe, here, entering, experts) == 0 ? 0 : 1;
        here = entering;
    }
    stop = true;
    reader.join(), caller.join();
    CHECK(wrong == 0);
}
