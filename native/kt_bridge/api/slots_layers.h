// Test support: layers that have all or some of their stored experts, and forwards whose routes are
// one expert each.
#pragma once
#include <algorithm>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "api/method_experts.h"

namespace ds4::ktb::test {

inline const StorageCase &storage_named(const std::string &name) {
    return *std::find_if(std::begin(kStorageCases), std::end(kStorageCases),
                         [&](const StorageCase &storage) { return storage.name == name; });
}

inline bool last_error_has(const char *text) {
    return std::strstr(ktb_last_error(), text) != nullptr;
}

inline bool same_bits(const std::vector<float> &a, const std::vector<float> &b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Loads those of `experts` that the layer keeps. The matrices of the others are zero, and no load
// may look at them.
inline int load_kept(ktb_moe_t moe, const StoredExperts &experts) {
    std::vector<int32_t> slots(size_t(experts.shape.experts));
    ktb_moe_slots(moe, slots.data());
    std::vector<ktb_matrix> list[3];
    for (int matrix = 0; matrix < 3; matrix++)
        for (size_t expert = 0; expert < slots.size(); expert++)
            list[matrix].push_back(slots[expert] < 0 ? ktb_matrix{}
                                                     : experts.values[matrix][expert].matrix());
    return ktb_moe_load_matrices(moe, list[0].data(), list[1].data(), list[2].data());
}

inline int move_expert(ktb_moe_t moe, int leaving, int entering, const StoredExperts &experts,
                       uint64_t *ticket = nullptr) {
    const ktb_matrix gate = experts.values[0][size_t(entering)].matrix(),
                     up = experts.values[1][size_t(entering)].matrix(),
                     down = experts.values[2][size_t(entering)].matrix();
    return ktb_moe_move_expert(moe, leaving, entering, &gate, &up, &down, ticket);
}

// Tokens whose routes are the named experts in turns.
struct Call {
    Call(const Shape &shape, int token_count, const std::vector<int32_t> &experts,
         uint64_t seed = 7)
        : tokens(token_count), hidden(shape.hidden),
          input(random_values(size_t(token_count) * size_t(shape.hidden), 1.0f, seed)) {
        for (int route = 0; route < tokens * shape.experts_per_token; route++) {
            ids.push_back(experts[size_t(route * 5 + route / 3) % experts.size()]);
            weights.push_back(0.25f + 0.125f * float(route % 5));
        }
    }
    // The output starts as NaN.
    std::vector<float> run(ktb_moe_t moe) {
        std::vector<float> output(input.size(), NAN);
        status = ktb_moe_forward2(moe, tokens, input.data(), KTB_IO_F32, output.data(), KTB_IO_F32,
                                  ids.data(), weights.data(), 0, 10);
        return output;
    }
    int submit(ktb_moe_t moe, std::vector<float> &output, uint64_t &ticket) const {
        output.assign(input.size(), NAN);
        return ktb_moe_submit(moe, tokens, input.data(), KTB_IO_F32, output.data(), KTB_IO_F32,
                              ids.data(), weights.data(), 0, 10, &ticket);
    }
    int tokens, hidden;
    std::vector<float> input, weights;
    std::vector<int32_t> ids;
    int status = 0;
};

// Waits for a ticket, with threads for external workers.
inline int finish(ktb_engine_t engine, uint64_t ticket, int external) {
    if (external == 0) return ktb_engine_wait(engine, ticket, -1);
    std::vector<std::thread> threads;
    for (int worker = 0; worker < external; worker++)
        threads.emplace_back([=] { ktb_engine_work(engine, worker, ticket); });
    for (std::thread &thread : threads) thread.join();
    return ktb_engine_wait(engine, ticket, 0);
}

// Packed bytes of an expert in all parts; empty when it is refused.
inline std::vector<uint8_t> packed_bytes(ktb_moe_t moe, int parts, int expert) {
    std::vector<uint8_t> all;
    for (int part = 0; part < parts; part++) {
        const void *address = nullptr;
        size_t bytes = 0;
        if (ktb_moe_packed(moe, part, expert, &address, &bytes) != 0) return {};
        all.insert(all.end(), static_cast<const uint8_t *>(address),
                   static_cast<const uint8_t *>(address) + bytes);
    }
    return all;
}

// An engine and layers on it.
struct TestEngine {
    explicit TestEngine(const std::string &options)
        : engine(ktb_engine_create_json(options.c_str())) {}
    ~TestEngine() {
        for (ktb_moe_t layer : layers) ktb_moe_destroy(layer);
        ktb_engine_destroy(engine);
    }
    TestEngine(const TestEngine &) = delete;
    // Adds a layer that keeps all experts, or those in `kept`. It is not loaded.
    ktb_moe_t add(const StoredExperts &experts, const std::vector<int32_t> &kept = {}) {
        layers.push_back(experts.create(engine));
        if (!kept.empty())
            status = ktb_moe_keep_experts(layers.back(), int(kept.size()), kept.data());
        return layers.back();
    }
    ktb_moe_t load(const StoredExperts &experts, const std::vector<int32_t> &kept = {}) {
        ktb_moe_t moe = add(experts, kept);
        if (status == 0) status = load_kept(moe, experts);
        return moe;
    }
    std::string description() const {
        std::string text(size_t(ktb_engine_describe(engine, nullptr, 0)) + 4096, '\0');
        text.resize(size_t(ktb_engine_describe(engine, text.data(), text.size())));
        return text;
    }
    ktb_engine_t engine;
    std::vector<ktb_moe_t> layers;
    int status = 0;
};

} // namespace ds4::ktb::test
