// Reads the recorded vectors (safetensors files of our own making) in native tests. It throws on
// anything unexpected: it reads trusted fixtures only and is no part of the library.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace ds4::test {

struct Recorded {
    std::string type;
    std::vector<int64_t> shape;
    std::vector<uint8_t> bytes;
    int64_t rows() const { return shape.size() < 2 ? 1 : shape[0]; }
    int64_t cols() const { return shape.empty() ? 1 : shape.back(); }
    const float *floats() const {
        if (type != "F32") throw std::runtime_error("not F32 but " + type);
        return reinterpret_cast<const float *>(bytes.data());
    }
    const int32_t *ints() const {
        if (type != "I32") throw std::runtime_error("not I32 but " + type);
        return reinterpret_cast<const int32_t *>(bytes.data());
    }
    int64_t count() const {
        int64_t n = 1;
        for (const int64_t d : shape) n *= d;
        return n;
    }
};

class VectorFile {
  public:
    explicit VectorFile(const std::string &name) {
        const char *folder = std::getenv("DS4_TEST_VECTORS");
        const std::string path =
            std::string(folder != nullptr ? folder : DS4_TEST_VECTORS) + "/" + name;
        std::ifstream in(path, std::ios::binary);
        if (!in) throw std::runtime_error("cannot read " + path);
        const std::vector<char> all{std::istreambuf_iterator<char>(in), {}};
        uint64_t header = 0;
        std::memcpy(&header, all.data(), 8);
        parse(std::string(all.data() + 8, header),
              reinterpret_cast<const uint8_t *>(all.data()) + 8 + header);
    }
    const Recorded &operator[](const std::string &name) const {
        const auto found = tensors_.find(name);
        if (found == tensors_.end()) throw std::runtime_error("no tensor " + name);
        return found->second;
    }

  private:
    // Entries look like "name":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}, in any order of
    // the three keys.
    void parse(const std::string &json, const uint8_t *data) {
        for (size_t at = json.find("\"dtype\""); at != std::string::npos;
             at = json.find("\"dtype\"", at + 1)) {
            const size_t open = json.rfind('{', at), close = json.find('}', at);
            const size_t name_end = json.rfind('"', open),
                         name_begin = json.rfind('"', name_end - 1) + 1;
            const std::string entry = json.substr(open, close - open);
            Recorded tensor;
            const size_t type = entry.find('"', entry.find(':', entry.find("\"dtype\"")) + 1) + 1;
            tensor.type = entry.substr(type, entry.find('"', type) - type);
            tensor.shape = numbers(entry, "\"shape\"");
            const std::vector<int64_t> range = numbers(entry, "\"data_offsets\"");
            tensor.bytes.assign(data + range.at(0), data + range.at(1));
            tensors_[json.substr(name_begin, name_end - name_begin)] = std::move(tensor);
        }
    }
    static std::vector<int64_t> numbers(const std::string &entry, const char *key) {
        std::vector<int64_t> out;
        const char *cursor = entry.c_str() + entry.find('[', entry.find(key)) + 1;
        while (*cursor != ']') {
            char *end = nullptr;
            out.push_back(std::strtoll(cursor, &end, 10));
            cursor = *end == ',' ? end + 1 : end;
            while (*cursor == ' ') cursor++;
        }
        return out;
    }
    std::map<std::string, Recorded> tensors_;
};

} // namespace ds4::test
