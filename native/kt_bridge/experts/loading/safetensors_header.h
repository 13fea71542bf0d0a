// The header of one safetensors file: names to places in the file, every place checked. The rules
// are those of packages/model-file, and tests/fixtures/safetensors-cases holds both to them.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ds4::ktb {

constexpr uint64_t kMaximumHeaderBytes = 100'000'000; // the format's own limit
constexpr uint64_t kHeaderLengthBytes = 8;            // little-endian, before the header

struct HeaderTensor {
    std::string name;
    std::string dtype;           // as in the header: "I8", "F8_E8M0", ...
    std::vector<uint64_t> shape; // outermost first
    uint64_t offset;             // from the start of the file
    uint64_t bytes;
};

// text: the header without its length. path: for messages. Throws ExpertError KTB_ERR_FORMAT for
// text that is no such header. Throws too unless the tensors cover the rest of a file of
// `file_bytes` bytes without gap or overlap.
std::vector<HeaderTensor> read_safetensors_header(std::string_view text, const std::string &path,
                                                  uint64_t file_bytes);

} // namespace ds4::ktb
