// Layers from memory-mapped matrices.
#include <cstring>

#include "api/test_layer.h"
#include "base/test.h"
#include "format/encode.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

namespace {

constexpr Shape kShape{3, 2, 256, 128};

// MXFP4 experts as KTB_FORMAT_FP4 or, with GGUF blocks, as KTB_FORMAT_MXFP4.
struct Matrices {
    Matrices(const std::vector<CanonicalExpert> &experts, bool gguf_blocks) {
        blocks.reserve(experts.size() * 3);
        for (const CanonicalExpert &expert : experts)
            for (int matrix = 0; matrix < 3; matrix++) {
                const std::vector<uint8_t> &codes = expert.codes[matrix],
                                           &scales = expert.scales[matrix];
                if (!gguf_blocks) {
                    list[matrix].push_back({codes.data(), scales.data(), codes.size(),
                                            scales.size(), KTB_FORMAT_FP4, 0});
                    continue;
                }
                blocks.emplace_back(scales.size() * 17);
                ds4::fp4_packed_to_mxfp4(codes.data(), scales.data(), blocks.back().data(),
                                         int64_t(codes.size() * 2));
                list[matrix].push_back(
                    {blocks.back().data(), nullptr, blocks.back().size(), 0, KTB_FORMAT_MXFP4, 0});
            }
    }
    int load(ktb_moe_t moe) const {
        return ktb_moe_load_matrices(moe, list[0].data(), list[1].data(), list[2].data());
    }
    std::vector<std::vector<uint8_t>> blocks;
    std::vector<ktb_matrix> list[3];
};

bool names(const char *text) { return std::strstr(ktb_last_error(), text) != nullptr; }

} // namespace

TEST("MXFP4 matrices in the official order and in GGUF blocks give the layer that pointers give, "
     "byte for byte") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 3);
    TestLayer layer(options_for("generic", "int8", 2, 2), kShape, experts);
    const std::vector<float> input = random_values(4 * 256, 1.0f, 5), weights(8, 0.5f);
    const std::vector<int32_t> ids = {0, 1, 2, 0, 1, 2, 2, 2};
    const std::vector<float> expected = layer.forward(4, input.data(), ids.data(), weights.data());
    for (bool gguf_blocks : {false, true}) {
        CHECK(Matrices(experts, gguf_blocks).load(layer.moe) == KTB_OK);
        CHECK(layer.forward(4, input.data(), ids.data(), weights.data()) == expected);
        for (int which = 1; which <= 3; which++) {
            const int matrix = which == 1 ? 0 : which == 2 ? 2 : 1;
            std::vector<uint8_t> codes(experts[1].codes[matrix].size()),
                scales(experts[1].scales[matrix].size());
            CHECK(ktb_moe_export_expert(layer.moe, 1, which, codes.data(), codes.size(),
                                        scales.data(), scales.size()) == KTB_OK);
            CHECK(codes == experts[1].codes[matrix] && scales == experts[1].scales[matrix]);
        }
    }
}

TEST("a matrix of another size, format, pointer or scale is refused and named, and the layer keeps "
     "its weights") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 3);
    TestLayer layer(options_for("generic", "int8", 1, 1), kShape, experts);
    const auto refused = [&](int matrix, int expert, const char *text, auto change) {
        Matrices matrices(experts, false);
        change(matrices.list[matrix][size_t(expert)]);
        CHECK(matrices.load(layer.moe) < 0);
        CHECK(names(text));
        CHECK(ktb_status(layer.moe) == 0);
    };
    refused(0, 1, "expert 1 w1", [](ktb_matrix &matrix) { matrix.data_bytes--; });
    refused(1, 2, "expert 2 w3", [](ktb_matrix &matrix) { matrix.scale_bytes = UINT64_MAX; });
    refused(2, 0, "expert 0 w2", [](ktb_matrix &matrix) { matrix.data_bytes = 0; });
    refused(2, 1, "expert 1 w2", [](ktb_matrix &matrix) { matrix.format = 77; });
    refused(0, 0, "KTB_FORMAT_Q8_0", [](ktb_matrix &matrix) { matrix.format = KTB_FORMAT_Q8_0; });
    refused(0, 2, "expert 0", [](ktb_matrix &matrix) { matrix.format = KTB_FORMAT_MXFP4; });
    refused(0, 0, "NULL", [](ktb_matrix &matrix) { matrix.data = nullptr; });
    refused(0, 0, "NULL", [](ktb_matrix &matrix) { matrix.scales = nullptr; });
    refused(0, 0, "reserved", [](ktb_matrix &matrix) { matrix.reserved = 1; });
    const Matrices matrices(experts, false);
    CHECK(ktb_moe_load_matrices(layer.moe, matrices.list[0].data(), nullptr,
                                matrices.list[2].data()) == KTB_ERR_ARGUMENT);
    CHECK(ktb_moe_load_matrices(nullptr, matrices.list[0].data(), matrices.list[1].data(),
                                matrices.list[2].data()) == KTB_ERR_ARGUMENT);
}

TEST("a NaN scale in GGUF blocks fails the load and names the expert") {
    std::vector<CanonicalExpert> experts =
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 3);
    TestLayer layer(options_for("generic", "int8", 1, 1), kShape, experts);
    experts[2].scales[1][17] = 255;
    for (bool gguf_blocks : {false, true}) {
        CHECK(Matrices(experts, gguf_blocks).load(layer.moe) == KTB_ERR_FORMAT);
        CHECK(names("expert 2 w3"));
        CHECK(ktb_status(layer.moe) == KTB_ERR_FORMAT);
    }
}
