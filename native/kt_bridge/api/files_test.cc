// Loading from safetensors folders: the right bytes.
#include <algorithm>
#include <atomic>
#include <thread>

#include "api/checkpoint_folder.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

TEST("a layer from two shards computes what the pointers compute, under both name bases, and "
     "exports its bytes") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kFolderShape.experts, kFolderShape.hidden, kFolderShape.intermediate, 21);
    const std::vector<float> input = random_values(10u * 256, 1.0f, 22);
    std::vector<int32_t> ids;
    for (int slot = 0; slot < 20; slot++) ids.push_back(slot % 3);
    const std::vector<float> weights(20, 0.5f);
    for (const char *base : {"layers.7", "model.layers.7"})
        for (int parts : {1, 3}) {
            const TemporaryFolder folder;
            std::vector<ShardTensor> entries = layer_entries(base, experts);
            folder.write("b.safetensors", shard({entries.begin(), entries.begin() + 5}));
            folder.write("a.safetensors", shard({entries.begin() + 5, entries.end()}));
            TestLayer direct(options_for("auto", "int8", parts, 3), kFolderShape, experts);
            TestLayer loaded(options_for("auto", "int8", parts, 3), kFolderShape,
                             random_experts(kFolderShape.experts, kFolderShape.hidden,
                                            kFolderShape.intermediate, 99));
            ktb_safetensor_t tensors = ktb_safetensor_open(folder.path.c_str());
            CHECK(tensors != nullptr);
            const int layer = 7;
            CHECK(ktb_load_layers(loaded.engine, tensors, 1, &loaded.moe, &layer,
                                  parts == 1 ? 1 : 0) == 0); // replaces the first load
            uint64_t done = 0, total = 0;
            CHECK(ktb_load_progress(loaded.engine, &done, &total) == 0 && done == total &&
                  total == 3ull * 3 * 256 * 384 / 32 * 17);
            void *bytes = nullptr;
            size_t count = 0;
            CHECK(ktb_safetensor_get(
                tensors, (std::string(base) + ".ffn.experts.2.w2.scale").c_str(), &bytes, &count));
            CHECK(count == experts[2].scales[2].size() &&
                  std::memcmp(bytes, experts[2].scales[2].data(), count) == 0);
            CHECK(!ktb_safetensor_get(tensors, "nothing", &bytes, &count) &&
                  count == experts[2].scales[2].size());
            ktb_safetensor_close(tensors);
            for (int tokens : {1, 10})
                CHECK(direct.forward(tokens, input.data(), ids.data(), weights.data()) ==
                      loaded.forward(tokens, input.data(), ids.data(), weights.data()));
            for (int which : {1, 2, 3}) {
                const int matrix = which == 1 ? 0 : which == 3 ? 1 : 2;
                std::vector<uint8_t> codes(experts[1].codes[matrix].size()),
                    scales(experts[1].scales[matrix].size());
                CHECK(ktb_moe_export_expert(loaded.moe, 1, which, codes.data(), codes.size(),
                                            scales.data(), scales.size()) == 0);
                CHECK(codes == experts[1].codes[matrix] && scales == experts[1].scales[matrix]);
                CHECK(ktb_moe_export_expert(loaded.moe, 1, which, codes.data(), codes.size() - 1,
                                            scales.data(), scales.size()) == KTB_ERR_ARGUMENT);
            }
        }
}

TEST("the map permutes the sources, and a bf16 scale tensor equals the E8M0 one") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kFolderShape.experts, kFolderShape.hidden, kFolderShape.intermediate, 23);
    const TemporaryFolder folder;
    std::vector<ShardTensor> entries = layer_entries("layers.7", experts);
    for (ShardTensor &entry : entries)
        if (entry.dtype == "F8_E8M0") {
            std::string wide;
            for (char byte : entry.bytes) {
                const uint16_t word = uint16_t(uint16_t(uint8_t(byte)) << 7);
                wide += char(word & 255), wide += char(word >> 8);
            }
            entry.dtype = "BF16", entry.bytes = wide;
        }
    folder.write("a.safetensors", shard(entries));
    ktb_safetensor_t tensors = ktb_safetensor_open(folder.path.c_str());
    TestLayer layer(options_for("auto", "int8", 1, 2), kFolderShape, experts);
    const int64_t map[3] = {2, 0, 1}, wrong[3] = {0, 3, 1};
    CHECK(ktb_moe_load_weights_safetensors(layer.moe, tensors, 7, map) == 0);
    std::vector<uint8_t> codes(experts[0].codes[0].size()), scales(experts[0].scales[0].size());
    CHECK(ktb_moe_export_expert(layer.moe, 0, 1, codes.data(), codes.size(), scales.data(),
                                scales.size()) == 0);
    CHECK(codes == experts[2].codes[0] && scales == experts[2].scales[0]);
    CHECK(ktb_moe_load_weights_safetensors(layer.moe, tensors, 7, wrong) == KTB_ERR_ARGUMENT);
    CHECK(std::string(ktb_last_error()).find("source 3 for expert 1") != std::string::npos);
    ktb_safetensor_close(tensors);
    const CanonicalPointers pointers(experts);
    CHECK(pointers.load(layer.moe, wrong) == KTB_ERR_ARGUMENT &&
          pointers.load(layer.moe, map) == 0);
}

TEST("scales beyond the folded range and of 0 compute right") {
    std::vector<CanonicalExpert> experts =
        random_experts(kFolderShape.experts, kFolderShape.hidden, kFolderShape.intermediate, 26);
    for (CanonicalExpert &expert : experts)
        for (int matrix = 0; matrix < 2; matrix++)
            for (size_t i = 0; i < expert.scales[matrix].size(); i += 5)
                expert.scales[matrix][i] = i % 2 == 0 ? 0 : 1;
    const std::vector<float> input = random_values(30u * 256, 1.0f, 27);
    std::vector<int32_t> ids;
    for (int slot = 0; slot < 60; slot++) ids.push_back(slot % 2);
    const std::vector<float> weights(60, 0.5f);
    const std::vector<double> expected =
        reference_forward(experts, {kFolderShape.hidden, kFolderShape.intermediate, 30, 2,
                                    input.data(), ids.data(), weights.data(), 10});
    for (const char *isa : usable_isas())
        for (const char *numerics : {"int8", "bf16"}) {
            TestLayer layer(options_for(isa, numerics, 1, 2), kFolderShape, experts);
            const std::vector<float> output =
                layer.forward(30, input.data(), ids.data(), weights.data());
            CHECK(relative_error(output.data(), expected.data(), output.size()) <=
                  (std::string(numerics) == "int8" ? 2e-2 : 5e-3));
        }
}

TEST("FP8 and BF16 folders give the layer that the same matrices in memory give; GGUF types have "
     "no folder") {
    struct Case {
        uint32_t format;
        ktb_method_t method;
        const char *dtype, *scale_dtype;
    };
    const Shape shape{2, 1, 256, 256};
    for (const Case &of : {Case{KTB_FORMAT_FP8, KTB_FP8, "F8_E4M3", "F8_E8M0"},
                           Case{KTB_FORMAT_FP8_F32, KTB_FP8, "F8_E4M3", "F32"},
                           Case{KTB_FORMAT_FP8_ROWS, KTB_FP8_PERCHANNEL, "F8_E4M3", "F32"},
                           Case{KTB_FORMAT_BF16, KTB_BF16, "BF16", nullptr}}) {
        const StorageCase storage{"", of.format, of.method};
        const StoredExperts experts(storage, storage, shape, 3);
        std::vector<ShardTensor> entries;
        for (int id = 0; id < shape.experts; id++)
            for (int matrix = 0; matrix < 3; matrix++) {
                const StoredValues &stored = experts.values[matrix][size_t(id)];
                const std::string name = "layers.7.ffn.experts." + std::to_string(id) +
                                         (matrix == 0   ? ".w1"
                                          : matrix == 1 ? ".w3"
                                                        : ".w2");
                entries.push_back(
                    {name + ".weight", of.dtype, list(256, 256), bytes_of(stored.data)});
                if (of.scale_dtype != nullptr)
                    entries.push_back({name + ".scale", of.scale_dtype,
                                       of.method == KTB_FP8 ? list(2, 2) : list(256, 1),
                                       bytes_of(stored.scales)});
            }
        const TemporaryFolder folder;
        folder.write("model.safetensors", shard(entries));
        StoredLayer layer(options_for("auto", "f32", 1, 1), experts);
        const std::vector<float> input = random_values(3 * 256, 1.0f, 5), weights(3, 1.0f);
        const int32_t ids[3] = {0, 1, 1};
        const std::vector<float> expected = layer.forward(3, input.data(), ids, weights.data(), 10);
        ktb_safetensor_t tensors = ktb_safetensor_open(folder.path.c_str());
        CHECK(ktb_moe_load_weights_safetensors(layer.moe, tensors, 7, nullptr) == KTB_OK);
        CHECK(layer.forward(3, input.data(), ids, weights.data(), 10) == expected);
        std::vector<uint8_t> codes(experts.values[2][1].data.size()),
            scales(experts.values[2][1].scales.size());
        CHECK(ktb_moe_export_expert(layer.moe, 1, 2, codes.data(), codes.size(), scales.data(),
                                    scales.size()) == KTB_OK);
        CHECK(codes == experts.values[2][1].data && scales == experts.values[2][1].scales);
        const ktb_method_t other =
            of.method == KTB_BF16 ? KTB_FP8 : KTB_BF16; // the same files are no such layer
        ktb_moe_t wrong = ktb_moe_create(layer.engine, 0, 2, 1, 256, 256, KTB_IO_F32, other, 0, 10);
        CHECK(ktb_moe_load_weights_safetensors(wrong, tensors, 7, nullptr) == KTB_ERR_FORMAT);
        CHECK(std::strstr(ktb_last_error(), "tensor layers.7.ffn.experts.0.w1.weight is ") !=
              nullptr);
        ktb_moe_destroy(wrong);
        ktb_moe_t block =
            ktb_moe_create(layer.engine, 0, 2, 1, 256, 256, KTB_IO_F32, KTB_Q4_K, 0, 10);
        CHECK(ktb_moe_load_weights_safetensors(block, tensors, 7, nullptr) == KTB_ERR_ARGUMENT);
        CHECK(std::strstr(ktb_last_error(), "ktb_moe_load_matrices") != nullptr);
        ktb_moe_destroy(block);
        ktb_safetensor_close(tensors);
    }
}

TEST("a folder that is closed while layers are loading from it stays readable to them") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kFolderShape.experts, kFolderShape.hidden, kFolderShape.intermediate, 27);
    const TemporaryFolder folder;
    folder.write("a.safetensors", shard(layer_entries("layers.7", experts)));
    ktb_engine_t engine = ktb_engine_create(1, 1);
    std::vector<ktb_moe_t> layers;
    while (layers.size() < 100)
        layers.push_back(ktb_moe_create(engine, 7, kFolderShape.experts,
                                        kFolderShape.experts_per_token, kFolderShape.hidden,
                                        kFolderShape.intermediate, KTB_IO_F32, KTB_MXFP4, 32, 10));
    const std::vector<int> indices(layers.size(), 7);
    ktb_safetensor_t tensors = ktb_safetensor_open(folder.path.c_str());
    std::atomic<int> code{1};
    std::thread loader([&] {
        code =
            ktb_load_layers(engine, tensors, int(layers.size()), layers.data(), indices.data(), 1);
    });
    while (ktb_status(layers[0]) == 1 && code == 1) std::this_thread::yield();
    ktb_safetensor_close(tensors);
    loader.join();
    CHECK(code == 0);
    std::vector<uint8_t> codes(experts[2].codes[1].size()), scales(experts[2].scales[1].size());
    CHECK(ktb_moe_export_expert(layers.back(), 2, 3, codes.data(), codes.size(), scales.data(),
                                scales.size()) == 0);
    CHECK(codes == experts[2].codes[1] && scales == experts[2].scales[1]);
    for (ktb_moe_t layer : layers) ktb_moe_destroy(layer);
    ktb_engine_destroy(engine);
}

TEST("a layer that keeps some experts loads from a folder without the others, alone and among "
     "several layers") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kFolderShape.experts, kFolderShape.hidden, kFolderShape.intermediate, 28);
    std::vector<ShardTensor> entries = layer_entries("layers.7", experts);
    const size_t all = entries.size();
    std::erase_if(entries, [](const ShardTensor &entry) {
        return entry.name.find("experts.0.") != std::string::npos;
    });
    CHECK(entries.size() == all / 3 * 2);
    const TemporaryFolder folder;
    folder.write("a.safetensors", shard(entries));
    TestLayer whole(options_for("auto", "int8", 2, 2), kFolderShape, experts);
    const std::vector<float> input = random_values(256, 1.0f, 5), weights(2, 0.5f);
    const int32_t ids[2] = {2, 1}, kept[2] = {2, 1};
    const std::vector<float> expected = whole.forward(1, input.data(), ids, weights.data());
    ktb_safetensor_t tensors = ktb_safetensor_open(folder.path.c_str());
    ktb_moe_t some[2];
    for (ktb_moe_t &moe : some)
        moe = ktb_moe_create(whole.engine, 7, kFolderShape.experts, kFolderShape.experts_per_token,
                             kFolderShape.hidden, kFolderShape.intermediate, KTB_IO_F32, KTB_MXFP4,
                             32, 10);
    CHECK(ktb_moe_load_weights_safetensors(some[0], tensors, 7, nullptr) == KTB_ERR_FORMAT);
    CHECK(std::strstr(ktb_last_error(), "layers.7.ffn.experts.0.w1.weight is missing") != nullptr);
    for (ktb_moe_t moe : some) CHECK(ktb_moe_keep_experts(moe, 2, kept) == 0);
    CHECK(ktb_moe_load_weights_safetensors(some[0], tensors, 7, nullptr) == 0);
    const int indices[2] = {7, 7};
    CHECK(ktb_load_layers(whole.engine, tensors, 2, some, indices, 0) == 0);
    uint64_t done = 0, total = 0;
    CHECK(ktb_load_progress(whole.engine, &done, &total) == 0 && done == total &&
          total == 2u * 2 * 3 * 256 * 384 * 17 / 32);
    for (ktb_moe_t moe : some) {
        std::vector<float> output(256, NAN);
        CHECK(ktb_moe_forward2(moe, 1, input.data(), KTB_IO_F32, output.data(), KTB_IO_F32, ids,
                               weights.data(), 0, 10) == 0 &&
              output == expected);
        ktb_moe_destroy(moe);
    }
    ktb_safetensor_close(tensors);
}
