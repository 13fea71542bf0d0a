// Loading from damaged safetensors folders: a named refusal of everything that is wrong.
#include "api/checkpoint_folder.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

namespace {

void check_refused(const std::string &bytes, const std::string &expected_in_message) {
    const TemporaryFolder folder;
    folder.write("a.safetensors", bytes);
    std::string message;
    CHECK(load_code(folder.path, message) != 0);
    if (message.find(expected_in_message) == std::string::npos)
        ds4::test::record(__FILE__, __LINE__,
                          "\"" + message + "\" lacks \"" + expected_in_message + "\"");
}

// The matrices of layer 7 where ktb_safetensor_get says that they lie, by w1, w3, w2 and expert.
struct MappedMatrices {
    explicit MappedMatrices(ktb_safetensor_t tensors) {
        const char *const names[3] = {"w1", "w3", "w2"};
        for (int m = 0; m < 3; m++)
            for (int expert = 0; expert < kFolderShape.experts; expert++) {
                const std::string name =
                    "layers.7.ffn.experts." + std::to_string(expert) + "." + names[m];
                void *codes = nullptr, *scales = nullptr;
                size_t code_bytes = 0, scale_bytes = 0;
                CHECK(ktb_safetensor_get(tensors, (name + ".weight").c_str(), &codes, &code_bytes));
                CHECK(
                    ktb_safetensor_get(tensors, (name + ".scale").c_str(), &scales, &scale_bytes));
                of[m].push_back({codes, scales, code_bytes, scale_bytes, KTB_FORMAT_FP4, 0});
            }
    }
    int load(ktb_moe_t moe) const {
        return ktb_moe_load_matrices(moe, of[0].data(), of[1].data(), of[2].data());
    }
    std::vector<ktb_matrix> of[3];
};

bool tells_lost_file(const std::string &path) {
    const std::string text = ktb_last_error();
    return text.find(path) != std::string::npos && text.find("truncated") != std::string::npos;
}

} // namespace

TEST("wrong shards are refused with the tensor, what was expected and what came") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kFolderShape.experts, kFolderShape.hidden, kFolderShape.intermediate, 24);
    const std::vector<ShardTensor> good = layer_entries("layers.7", experts);
    const std::string whole = shard(good);
    check_refused(whole.substr(0, whole.size() - 1), "truncated");
    check_refused(whole.substr(0, 6), "8-byte header length");
    check_refused(whole.substr(0, 100), "does not fit");
    check_refused(std::string(8, '\xff') + whole.substr(8), "does not fit");

    std::vector<ShardTensor> entries(good.begin(), good.end() - 1);
    check_refused(shard(entries), "layers.7.ffn.experts.2.w2.scale is missing");
    entries = good;
    entries[2].shape = list(kFolderShape.hidden, kFolderShape.intermediate / 2);
    check_refused(shard(entries),
                  "experts.0.w3.weight is I8 [256, 192]; expected I8 or U8 [384, 128]");
    entries = good;
    entries[4].dtype = "F8_E4M3";
    check_refused(shard(entries), "experts.0.w2.weight is F8_E4M3");
    entries = good;
    entries[9].bytes[5] = char(255);
    check_refused(shard(entries), "layers.7.ffn.experts.1.w3.scale: scale 255");
    entries = good;
    entries.push_back(good[0]);
    check_refused(shard(entries), "appears twice");
    const TemporaryFolder empty;
    std::string message;
    CHECK(load_code(empty.path, message) != 0 &&
          message.find("no *.safetensors") != std::string::npos);
    CHECK(load_code(empty.path + "/missing", message) != 0 &&
          message.find("cannot open folder") != std::string::npos);
}

TEST("a wrong header is refused with the file, what was expected and what came") {
    check_refused(raw_shard("{\"a\":{\"dtype\":\"I8\",\"shape\":[8],\"data_offsets\":[0,8]},\"b\":{"
                            "\"dtype\":\"I8\",\"shape\":[8],\"data_offsets\":[4,12]}}",
                            std::string(16, 'x')),
                  "overlap");
    check_refused(raw_shard("{\"a\":{\"dtype\":\"I8\",\"shape\":[8],\"data_offsets\":[8,0]}}",
                            std::string(16, 'x')),
                  "data_offsets");
    check_refused(raw_shard("{\"a\":{\"dtype\":\"I8\",\"shape\":[9],\"data_offsets\":[0,8]}}",
                            std::string(16, 'x')),
                  "its shape and dtype need 9");
    check_refused(raw_shard("{\"a\":{\"dtype\":\"I9\",\"shape\":[8],\"data_offsets\":[0,8]}}",
                            std::string(16, 'x')),
                  "unknown dtype");
    check_refused(
        raw_shard(
            "{\"a\":{\"dtype\":\"I64\",\"shape\":[4503599627370496,4],\"data_offsets\":[0,8]}}",
            std::string(16, 'x')),
        "impossible shape");
    check_refused(raw_shard("{\"a\":{\"dtype\":\"I8\",\"shape\":[8.5],\"data_offsets\":[0,8]}}",
                            std::string(16, 'x')),
                  "an integer");
    check_refused(raw_shard("{\"a\":" + std::string(64, '[') + "}", ""), "expected");
    check_refused(
        raw_shard("{\"a\":{\"x\":" + std::string(64, '[') + std::string(64, ']') + "}}", ""),
        "nested");
    check_refused(raw_shard("{} x", ""), "the end of the text");
}

TEST("a header cut or damaged at any byte never crashes") {
    const std::string whole =
        raw_shard("{\"__metadata__\":{\"k\":\"\\ud83d\\ude00\"},\"a\":{\"dtype\":\"BF16\","
                  "\"shape\":[2,2],\"data_offsets\":[0,8]}}",
                  "12345678");
    const TemporaryFolder folder;
    int opened = 0;
    for (size_t at = 0; at <= whole.size(); at++)
        for (int kind = 0; kind < 3; kind++) {
            std::string bytes = kind == 0 ? whole.substr(0, at) : whole;
            if (kind > 0 && at < whole.size())
                bytes[at] = kind == 1 ? '"' : char(uint8_t(bytes[at]) ^ 0x80);
            folder.write("a.safetensors", bytes);
            ktb_safetensor_t tensors = ktb_safetensor_open(folder.path.c_str());
            opened += tensors != nullptr ? 1 : 0;
            CHECK(tensors != nullptr || std::strlen(ktb_last_error()) > 0);
            ktb_safetensor_close(tensors);
        }
    CHECK(opened >= 2); // the whole file, and damage inside the data
}

TEST("a shard that becomes shorter after it was opened is an error, not a crash") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kFolderShape.experts, kFolderShape.hidden, kFolderShape.intermediate, 25);
    const TemporaryFolder folder;
    const std::string whole = shard(layer_entries("layers.7", experts));
    folder.write("a.safetensors", whole);
    ktb_safetensor_t tensors = ktb_safetensor_open(folder.path.c_str());
    std::filesystem::resize_file(folder.path + "/a.safetensors", whole.size() / 2);
    TestLayer layer(options_for("auto", "int8", 2, 2), kFolderShape, experts);
    CHECK(ktb_moe_load_weights_safetensors(layer.moe, tensors, 7, nullptr) == KTB_ERR_IO);
    CHECK(std::string(ktb_last_error()).find("shorter") != std::string::npos);
    CHECK(ktb_status(layer.moe) == KTB_ERR_IO);
    ktb_safetensor_close(tensors);
    CHECK(CanonicalPointers(experts).load(layer.moe) == 0 &&
          ktb_status(layer.moe) == 0); // recovers
}

TEST("matrices in a mapped shard that becomes shorter are an error for loads and moves") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kFolderShape.experts, kFolderShape.hidden, kFolderShape.intermediate, 26);
    const TemporaryFolder folder;
    const std::string whole = shard(layer_entries("layers.7", experts)),
                      path = folder.path + "/a.safetensors";
    folder.write("a.safetensors", whole);
    ktb_safetensor_t tensors = ktb_safetensor_open(folder.path.c_str());
    const MappedMatrices mapped(tensors);
    TestLayer layer(options_for("auto", "int8", 2, 2), kFolderShape, experts);
    CHECK(mapped.load(layer.moe) == 0);
    std::filesystem::resize_file(path, 4096);
    const size_t last = size_t(kFolderShape.experts - 1);
    CHECK(ktb_moe_move_expert(layer.moe, int(last), int(last), &mapped.of[0][last],
                              &mapped.of[1][last], &mapped.of[2][last], nullptr) == KTB_ERR_IO);
    CHECK(tells_lost_file(path));
    CHECK(ktb_status(layer.moe) == 0); // the old expert is still there
    CHECK(mapped.load(layer.moe) == KTB_ERR_IO && tells_lost_file(path));
    CHECK(ktb_status(layer.moe) == KTB_ERR_IO);
    ktb_safetensor_close(tensors);
    CHECK(CanonicalPointers(experts).load(layer.moe) == 0 && ktb_status(layer.moe) == 0);
}
