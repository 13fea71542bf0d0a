#include "experts/loading/safetensors_header.h"

#include <algorithm>

#include "experts/loading/json_reader.h"
#include "pool/expert_error.h"

namespace ds4::ktb {
namespace {

constexpr size_t kMaximumDimensions = 8;
constexpr size_t kMaximumNameBytes = 256;
constexpr size_t kMaximumTensors = size_t(1) << 19;

struct DtypeBytes {
    const char *name;
    uint64_t bytes;
};
constexpr DtypeBytes kDtypes[] = {{"BOOL", 1},    {"U8", 1},      {"I8", 1},  {"F8_E4M3", 1},
                                  {"F8_E5M2", 1}, {"F8_E8M0", 1}, {"I16", 2}, {"U16", 2},
                                  {"F16", 2},     {"BF16", 2},    {"I32", 4}, {"U32", 4},
                                  {"F32", 4},     {"F64", 8},     {"I64", 8}, {"U64", 8}};

uint64_t dtype_bytes(const std::string &name) {
    for (const DtypeBytes &known : kDtypes)
        if (name == known.name) return known.bytes;
    return 0;
}

class HeaderReader {
  public:
    HeaderReader(std::string_view text, const std::string &path, uint64_t file_bytes)
        : json_(text, path + ": header"), path_(path),
          data_begin_(kHeaderLengthBytes + text.size()), file_bytes_(file_bytes) {}

    std::vector<HeaderTensor> read() {
        std::vector<HeaderTensor> tensors;
        std::string name;
        json_.enter_object();
        while (json_.next_key(name)) {
            if (name == "__metadata__")
                read_metadata();
            else
                tensors.push_back(read_tensor(name));
            if (tensors.size() > kMaximumTensors)
                fail(KTB_ERR_FORMAT, "%s has more than %zu tensors", path_.c_str(),
                     kMaximumTensors);
        }
        json_.end();
        check_coverage(tensors);
        return tensors;
    }

  private:
    struct Entry { // as it stands in the header
        std::string dtype;
        std::vector<uint64_t> shape, data_offsets;
        bool has_dtype = false, has_shape = false;
    };

    void read_metadata() {
        std::string key;
        json_.enter_object();
        while (json_.next_key(key)) json_.string();
    }

    std::vector<uint64_t> read_counts() {
        std::vector<uint64_t> counts;
        json_.enter_array();
        while (json_.next_item()) {
            if (counts.size() == kMaximumDimensions) json_.error("at most 8 numbers");
            counts.push_back(json_.count());
        }
        return counts;
    }

    Entry read_entry() {
        Entry entry;
        std::string key;
        json_.enter_object();
        while (json_.next_key(key)) {
            if (key == "dtype")
                entry.dtype = json_.string(), entry.has_dtype = true;
            else if (key == "shape")
                entry.shape = read_counts(), entry.has_shape = true;
            else if (key == "data_offsets")
                entry.data_offsets = read_counts();
            else
                json_.skip();
        }
        return entry;
    }

    HeaderTensor read_tensor(const std::string &name) {
        if (name.size() > kMaximumNameBytes)
            fail(KTB_ERR_FORMAT, "%s: a tensor name has %zu bytes, at most %zu are expected",
                 path_.c_str(), name.size(), kMaximumNameBytes);
        const Entry entry = read_entry();
        if (!entry.has_dtype || !entry.has_shape || entry.data_offsets.size() != 2)
            fail(KTB_ERR_FORMAT, "%s: %s lacks dtype, shape or two data_offsets", path_.c_str(),
                 name.c_str());
        const uint64_t begin = entry.data_offsets[0], end = entry.data_offsets[1];
        const uint64_t needed = needed_bytes(name, entry);
        if (end < begin)
            fail(KTB_ERR_FORMAT, "%s: %s has data_offsets [%llu, %llu]", path_.c_str(),
                 name.c_str(), (unsigned long long)begin, (unsigned long long)end);
        if (end - begin != needed)
            fail(KTB_ERR_FORMAT, "%s: %s occupies %llu bytes, its shape and dtype need %llu",
                 path_.c_str(), name.c_str(), (unsigned long long)(end - begin),
                 (unsigned long long)needed);
        return {name, entry.dtype, entry.shape, data_begin_ + begin, needed};
    }

    uint64_t needed_bytes(const std::string &name, const Entry &entry) const {
        uint64_t bytes = dtype_bytes(entry.dtype);
        if (bytes == 0)
            fail(KTB_ERR_FORMAT, "%s: %s has unknown dtype \"%s\"", path_.c_str(), name.c_str(),
                 entry.dtype.c_str());
        for (const uint64_t size : entry.shape)
            if (__builtin_mul_overflow(bytes, size, &bytes) || bytes > kMaximumCount)
                fail(KTB_ERR_FORMAT, "%s: %s has an impossible shape", path_.c_str(), name.c_str());
        return bytes;
    }

    void check_coverage(const std::vector<HeaderTensor> &tensors) const {
        std::vector<const HeaderTensor *> sorted;
        for (const HeaderTensor &tensor : tensors) sorted.push_back(&tensor);
        std::sort(sorted.begin(), sorted.end(), [](const HeaderTensor *a, const HeaderTensor *b) {
            return a->offset != b->offset ? a->offset < b->offset : a->bytes < b->bytes;
        });
        uint64_t end = data_begin_;
        std::string before = "the header";
        for (const HeaderTensor *tensor : sorted) {
            if (tensor->offset < end)
                fail(KTB_ERR_FORMAT, "%s: %s and %s overlap", path_.c_str(), before.c_str(),
                     tensor->name.c_str());
            if (tensor->offset > end)
                fail(KTB_ERR_FORMAT, "%s: %s leaves a gap after %s", path_.c_str(),
                     tensor->name.c_str(), before.c_str());
            end += tensor->bytes;
            before = tensor->name;
        }
        if (end != file_bytes_)
            fail(KTB_ERR_FORMAT, "%s %s: %s ends at byte %llu, the file has %llu", path_.c_str(),
                 end > file_bytes_ ? "is truncated" : "has bytes that belong to no tensor",
                 before.c_str(), (unsigned long long)end, (unsigned long long)file_bytes_);
    }

    JsonReader json_;
    const std::string &path_;
    uint64_t data_begin_, file_bytes_;
};

} // namespace

std::vector<HeaderTensor> read_safetensors_header(std::string_view text, const std::string &path,
                                                  uint64_t file_bytes) {
    return HeaderReader(text, path, file_bytes).read();
}

} // namespace ds4::ktb
