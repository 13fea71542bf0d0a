// Test support: a layer of canonical experts behind the public C functions.
#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "experts/forward/reference.h"
#include "kt_bridge.h"

namespace ds4::ktb::test {

// Relative root mean square of got against expected; NaN when anything is.
inline double relative_error(const float *got, const double *expected, size_t count) {
    double error = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        error += (double(got[i]) - expected[i]) * (double(got[i]) - expected[i]);
        size += expected[i] * expected[i];
    }
    return std::sqrt(error / size);
}

struct CanonicalPointers {
    explicit CanonicalPointers(const std::vector<CanonicalExpert> &experts) {
        widened.reserve(experts.size() * 3);
        for (const CanonicalExpert &expert : experts)
            for (int matrix = 0; matrix < 3; matrix++) {
                std::vector<uint16_t> wide;
                for (uint8_t scale : expert.scales[matrix]) wide.push_back(uint16_t(scale << 7));
                widened.push_back(std::move(wide));
                codes[matrix].push_back(expert.codes[matrix].data());
                scales[matrix].push_back(widened.back().data());
            }
    }
    int load(ktb_moe_t moe, const int64_t *map = nullptr) const {
        return ktb_moe_load_weights_ptrs(moe, 32, codes[0].data(), scales[0].data(),
                                         codes[1].data(), scales[1].data(), codes[2].data(),
                                         scales[2].data(), map);
    }
    std::vector<std::vector<uint16_t>> widened; // scales as bf16
    std::vector<const void *> codes[3], scales[3];
};

struct Shape {
    int experts, experts_per_token, hidden, intermediate;
};

// An engine with one loaded layer.
class TestLayer {
  public:
    TestLayer(const std::string &options, const Shape &shape,
              const std::vector<CanonicalExpert> &experts, float limit = 10.0f)
        : shape_(shape) {
        engine = ktb_engine_create_json(options.c_str());
        if (engine != nullptr)
            moe = ktb_moe_create(engine, 0, shape.experts, shape.experts_per_token, shape.hidden,
                                 shape.intermediate, KTB_IO_F32, KTB_MXFP4, 32, limit);
        ready = moe != nullptr && CanonicalPointers(experts).load(moe) == 0;
    }
    ~TestLayer() {
        ktb_moe_destroy(moe);
        ktb_engine_destroy(engine);
    }
    TestLayer(const TestLayer &) = delete;
    // The output starts as NaN.
    std::vector<float> forward(int tokens, const float *input, const int32_t *ids,
                               const float *weights, float limit = 10.0f) {
        std::vector<float> output(size_t(tokens) * size_t(shape_.hidden), NAN);
        status = ktb_moe_forward2(moe, tokens, input, KTB_IO_F32, output.data(), KTB_IO_F32, ids,
                                  weights, 0, limit);
        return output;
    }

    ktb_engine_t engine = nullptr;
    ktb_moe_t moe = nullptr;
    bool ready = false;
    int status = 0;

  private:
    Shape shape_;
};

inline std::string options_for(const char *isa, const char *numerics, int parts, int threads) {
    std::string nodes;
    for (int i = 0; i < parts; i++) nodes += i == 0 ? "0" : ",0";
    return std::string("{\"isa\":\"") + isa + "\",\"numerics\":\"" + numerics + "\",\"nodes\":[" +
           nodes + "],\"threads\":" + std::to_string(threads) + ",\"spin_us\":0}";
}

// Instruction sets that this CPU has.
inline std::vector<const char *> usable_isas() {
    std::vector<const char *> out;
    for (const char *isa : {"generic", "avx2", "avx512", "amx"}) {
        ktb_engine_t engine = ktb_engine_create_json(options_for(isa, "int8", 1, 1).c_str());
        if (engine != nullptr) out.push_back(isa);
        ktb_engine_destroy(engine);
    }
    return out;
}

} // namespace ds4::ktb::test
