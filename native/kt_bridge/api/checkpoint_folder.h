// Test support: checkpoint folders of safetensors shards, made up and loaded.
#pragma once
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "api/method_experts.h"
#include "base/test.h"

namespace ds4::ktb::test {

constexpr Shape kFolderShape{3, 2, 256, 384};

class TemporaryFolder {
  public:
    TemporaryFolder() {
        std::string pattern = std::filesystem::temp_directory_path() / "ktb-test-XXXXXX";
        if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
        path = pattern;
    }
    ~TemporaryFolder() { std::filesystem::remove_all(path); }
    void write(const std::string &name, const std::string &bytes) const {
        std::ofstream(path + "/" + name, std::ios::binary) << bytes;
    }
    std::string path;
};

struct ShardTensor {
    std::string name, dtype, shape, bytes;
};

inline std::string bytes_of(const std::vector<uint8_t> &values) {
    return {values.begin(), values.end()};
}

// A shard with the tensors one after another.
inline std::string shard(const std::vector<ShardTensor> &entries) {
    std::string header = "{\"__metadata__\":{\"format\":\"pt\",\"deep\":\"\\u00e9\"}", data;
    for (const ShardTensor &entry : entries) {
        header += ",\"" + entry.name + "\":{\"dtype\":\"" + entry.dtype +
                  "\",\"shape\":" + entry.shape + ",\"data_offsets\":[" +
                  std::to_string(data.size());
        data += entry.bytes;
        header += "," + std::to_string(data.size()) + "]}";
    }
    header += "}";
    const uint64_t length = header.size();
    std::string out(8, '\0');
    std::memcpy(out.data(), &length, 8);
    return out + header + data;
}

inline std::string raw_shard(const std::string &header, const std::string &data) {
    const uint64_t length = header.size();
    std::string out(8, '\0');
    std::memcpy(out.data(), &length, 8);
    return out + header + data;
}

inline std::string list(int rows, int cols) {
    return "[" + std::to_string(rows) + "," + std::to_string(cols) + "]";
}

inline std::vector<ShardTensor> layer_entries(const std::string &base,
                                              const std::vector<CanonicalExpert> &experts) {
    std::vector<ShardTensor> out;
    for (size_t id = 0; id < experts.size(); id++)
        for (int matrix = 0; matrix < 3; matrix++) {
            const std::string name = base + ".ffn.experts." + std::to_string(id) + "." +
                                     std::string(matrix == 0   ? "w1"
                                                 : matrix == 1 ? "w3"
                                                               : "w2");
            const int rows = matrix == 2 ? kFolderShape.hidden : kFolderShape.intermediate,
                      cols = matrix == 2 ? kFolderShape.intermediate : kFolderShape.hidden;
            out.push_back({name + ".weight", "I8", list(rows, cols / 2),
                           bytes_of(experts[id].codes[matrix])});
            out.push_back({name + ".scale", "F8_E8M0", list(rows, cols / 32),
                           bytes_of(experts[id].scales[matrix])});
        }
    return out;
}

// Loads layer 7 of a folder; returns the code and leaves the text in `message`.
inline int load_code(const std::string &folder, std::string &message, int parts = 2) {
    ktb_safetensor_t tensors = ktb_safetensor_open(folder.c_str());
    if (tensors == nullptr) return message = ktb_last_error(), KTB_ERR_FORMAT;
    ktb_engine_t engine = ktb_engine_create(2, parts);
    ktb_moe_t moe = ktb_moe_create(engine, 7, kFolderShape.experts, kFolderShape.experts_per_token,
                                   kFolderShape.hidden, kFolderShape.intermediate, KTB_IO_F32,
                                   KTB_MXFP4, 32, 10);
    const int code = ktb_moe_load_weights_safetensors(moe, tensors, 7, nullptr);
    message = ktb_last_error();
    if (code != 0) { // the handle stays usable and says that it has no weights
        CHECK(ktb_status(moe) != 0);
        float x[256] = {}, y[256] = {}, weight[2] = {1, 1};
        int32_t ids[2] = {0, 1};
        CHECK(ktb_moe_forward2(moe, 1, x, KTB_IO_F32, y, KTB_IO_F32, ids, weight, 0, 10) ==
              KTB_ERR_STATE);
        ktb_moe_forward_f32(moe, 1, x, y, ids, weight, false, 10);
        CHECK(std::isnan(y[0]) && std::isnan(y[255]) &&
              std::string(ktb_last_error()).find("no weights") != std::string::npos);
    }
    ktb_safetensor_close(tensors);
    ktb_moe_destroy(moe);
    ktb_engine_destroy(engine);
    return code;
}

} // namespace ds4::ktb::test
