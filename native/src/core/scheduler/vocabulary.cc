#include "core/scheduler/vocabulary.h"

#include "base/fail.h"
#include "ds4.h"

namespace ds4 {

Vocabulary::Vocabulary(std::span<const uint8_t> bytes, std::span<const uint32_t> offsets)
    : bytes_(bytes.begin(), bytes.end()), offsets_(offsets.begin(), offsets.end()) {
    if (offsets_.empty() || offsets_.front() != 0)
        fail(DS4_ERR_ARGUMENT, "the first vocabulary offset must be 0");
    for (size_t i = 1; i < offsets_.size(); i++) {
        if (offsets_[i] < offsets_[i - 1])
            fail(DS4_ERR_ARGUMENT, "vocabulary offset %zu is %u, below the one before it, %u", i,
                 offsets_[i], offsets_[i - 1]);
    }
    if (offsets_.back() != bytes_.size())
        fail(DS4_ERR_ARGUMENT, "the last vocabulary offset is %u, the tokens have %zu bytes",
             offsets_.back(), bytes_.size());
}

std::span<const uint8_t> Vocabulary::bytes(int32_t token) const {
    const uint32_t begin = offsets_[size_t(token)];
    return std::span(bytes_).subspan(begin, offsets_[size_t(token) + 1] - begin);
}

} // namespace ds4
