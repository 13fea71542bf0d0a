// Conversion of stored scales to canonical ones, word by word.
#include "experts/loading/stored_matrix.h"

#include <string>
#include <vector>

#include "base/test.h"
#include "pool/expert_error.h"

using namespace ds4::ktb;

namespace {

constexpr size_t kCount = 37; // two pieces of sixteen and a rest

// The message for a scale that MXFP4 cannot hold, empty when all are taken.
std::string refusal(const std::vector<uint16_t> &words, std::vector<uint8_t> &out) {
    try {
        canonical_scales(Method::mxfp4, ScaleFormat::bf16,
                         reinterpret_cast<const uint8_t *>(words.data()), words.size(), out.data(),
                         "x");
    } catch (const ExpertError &error) {
        return error.what();
    }
    return "";
}

} // namespace

TEST("of all bf16 words exactly the finite powers of two and zero are scales, among others, and "
     "the rest are named") {
    int wrong = 0;
    for (uint32_t word = 0; word < 65536; word++) {
        std::vector<uint16_t> words(kCount);
        for (size_t i = 0; i < kCount; i++) words[i] = uint16_t((1 + i * 6) << 7);
        const size_t place = word % kCount;
        words[place] = uint16_t(word);
        std::vector<uint8_t> out(kCount, 0xaa);
        const std::string message = refusal(words, out);
        const bool scale = word % 128 == 0 &&
                           word / 128 < 255; // no sign, no fraction, an exponent below infinity's
        if (scale != message.empty()) wrong++;
        if (!scale && message.find(" at " + std::to_string(place) + " ") == std::string::npos)
            wrong++;
        for (size_t i = 0; i < kCount && scale; i++)
            wrong += out[i] == (i == place ? word / 128 : 1 + i * 6) ? 0 : 1;
    }
    CHECK(wrong == 0);
}

TEST("the range of scales sees the lowest and the highest at every place") {
    for (size_t count = 1; count <= kCount; count++)
        for (size_t place = 0; place < count; place++) {
            std::vector<uint8_t> bytes(count, 120);
            bytes[place] = 253;
            const std::pair<uint8_t, uint8_t> expected{count == 1 ? 253 : 120, 253},
                high = byte_range(bytes.data(), count);
            bytes[place] = 1;
            const std::pair<uint8_t, uint8_t> low = byte_range(bytes.data(), count),
                                              below{1, count == 1 ? 1 : 120};
            CHECK(high == expected && low == below);
        }
    const std::pair<uint8_t, uint8_t> none{255, 0};
    CHECK(byte_range(nullptr, 0) == none);
}
