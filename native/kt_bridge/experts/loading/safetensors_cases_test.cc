// The cases that this reader shares with the one of packages/model-file.
#include <fstream>
#include <sstream>

#include "api/checkpoint_folder.h"
#include "base/test.h"
#include "experts/loading/json_reader.h"
#include "experts/loading/safetensors.h"
#include "pool/expert_error.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

namespace {

struct ExpectedTensor {
    std::string name, dtype;
    std::vector<uint64_t> shape;
    uint64_t offset_in_data = 0, bytes = 0;
};

struct FileCase {
    std::string name, header, length;
    bool is_valid = false, has_length = false;
    size_t data_bytes = 0, cut_bytes = 0, nested_lists = 0;
    std::vector<ExpectedTensor> tensors;

    std::string header_bytes() const {
        std::string bytes = header;
        if (nested_lists > 0)
            bytes.replace(bytes.find('$'), 1,
                          std::string(nested_lists, '[') + std::string(nested_lists, ']'));
        return bytes;
    }
    std::string file() const {
        const std::string bytes = header_bytes();
        std::string out = length;
        for (size_t i = 0; i < 8 && !has_length; i++) out += char(bytes.size() >> 8 * i & 255);
        out += bytes + std::string(data_bytes, '\0');
        return out.substr(0, out.size() - cut_bytes);
    }
};

std::string from_hex(const std::string &hex) {
    std::string bytes;
    for (size_t at = 0; at < hex.size(); at += 2)
        bytes += char(std::stoi(hex.substr(at, 2), nullptr, 16));
    return bytes;
}

ExpectedTensor read_tensor(JsonReader &json) {
    ExpectedTensor tensor;
    std::string key;
    json.enter_object();
    while (json.next_key(key)) {
        if (key == "name")
            tensor.name = json.string();
        else if (key == "dtype")
            tensor.dtype = json.string();
        else if (key == "offset_in_data")
            tensor.offset_in_data = json.count();
        else if (key == "bytes")
            tensor.bytes = json.count();
        else {
            json.enter_array();
            while (json.next_item()) tensor.shape.push_back(json.count());
        }
    }
    return tensor;
}

FileCase read_case(JsonReader &json) {
    FileCase made;
    std::string key;
    json.enter_object();
    while (json.next_key(key)) {
        if (key == "name")
            made.name = json.string();
        else if (key == "valid")
            made.is_valid = json.boolean();
        else if (key == "header")
            made.header = json.string();
        else if (key == "header_hex")
            made.header = from_hex(json.string());
        else if (key == "length_hex")
            made.length = from_hex(json.string()), made.has_length = true;
        else if (key == "data_bytes")
            made.data_bytes = json.count();
        else if (key == "cut_bytes")
            made.cut_bytes = json.count();
        else if (key == "nested_lists")
            made.nested_lists = json.count();
        else {
            json.enter_array();
            while (json.next_item()) made.tensors.push_back(read_tensor(json));
        }
    }
    return made;
}

std::vector<FileCase> read_cases() {
    std::ifstream file(DS4_TEST_VECTORS "/../fixtures/safetensors-cases/cases.json");
    std::stringstream text;
    text << file.rdbuf();
    const std::string json_text = text.str();
    JsonReader json(json_text, "cases.json");
    std::vector<FileCase> cases;
    json.enter_array();
    while (json.next_item()) cases.push_back(read_case(json));
    return cases;
}

// Empty when the reader does with the file what the case says.
std::string fault_of(const FileCase &file_case) {
    const TemporaryFolder folder;
    folder.write("a.safetensors", file_case.file());
    try {
        const Safetensors opened(folder.path);
        if (!file_case.is_valid) return "was accepted";
        const size_t data_begin = 8 + file_case.header_bytes().size();
        for (const ExpectedTensor &expected : file_case.tensors) {
            const Tensor *found = opened.find(expected.name);
            if (found == nullptr) return "lacks " + expected.name;
            if (found->dtype != expected.dtype || found->shape != expected.shape ||
                found->offset != data_begin + expected.offset_in_data ||
                found->bytes != expected.bytes)
                return "gives another place to " + expected.name;
        }
        return opened.size() == file_case.tensors.size() ? "" : "has other tensors too";
    } catch (const ExpertError &error) {
        return file_case.is_valid ? std::string("was refused: ") + error.what() : "";
    }
}

} // namespace

TEST("every case of safetensors files is accepted or refused as the other reader does it") {
    const std::vector<FileCase> cases = read_cases();
    CHECK(cases.size() >= 100);
    for (const FileCase &file_case : cases)
        if (const std::string fault = fault_of(file_case); !fault.empty())
            ds4::test::record(__FILE__, __LINE__, "\"" + file_case.name + "\" " + fault);
}
