#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "api/boundary.h"
#include "base/test.h"
#include "ds4.h"
#include "format/convert.h"
#include "format/scalar.h"

namespace ds4 {
namespace {

std::string last_error() { return api::error_text().text; }
bool mentions(const char *text) { return last_error().find(text) != std::string::npos; }

struct Call {
    uint32_t from_type, to_type;
    const void *from;
    uint64_t from_bytes;
    const void *scales;
    uint64_t scale_count;
    void *to;
    uint64_t to_bytes, row_begin, rows, cols;
    ds4_status operator()() const {
        return ds4_convert_rows(from_type, from, from_bytes, scales, scale_count, to_type, to,
                                to_bytes, row_begin, rows, cols);
    }
};

} // namespace

TEST("Q8_0 rows keep the largest magnitude's scale and the nearest codes") {
    std::vector<float> in(64);
    for (int i = 0; i < 64; i++) in[size_t(i)] = i < 32 ? float(i - 16) * 0.25f : 0.0f;
    uint8_t blocks[68];
    CHECK((Call{DS4_TYPE_F32, DS4_TYPE_Q8_0, in.data(), 256, nullptr, 0, blocks, 68, 0, 1, 64}() ==
           DS4_OK));
    CHECK(last_error().empty());
    const float scale = 4.0f / 127.0f;
    uint16_t stored;
    std::memcpy(&stored, blocks, 2);
    CHECK(stored == f32_to_f16(scale));
    for (int i = 0; i < 32; i++)
        CHECK(int8_t(blocks[2 + i]) == std::lround(double(in[size_t(i)]) * 127 / 4));
    for (int i = 34; i < 68; i++) CHECK(blocks[i] == 0);
}

TEST("FP8 rows find their scale row from the tensor's first row") {
    constexpr uint64_t kCols = 200;
    std::vector<uint8_t> codes(3 * kCols, 0x38); // 1.0
    const uint8_t scales[6] = {127, 128, 129, 130, 131, 132};
    std::vector<float> out(3 * kCols);
    CHECK((Call{DS4_TYPE_F8_E4M3, DS4_TYPE_F32, codes.data(), codes.size(), scales, 6, out.data(),
                out.size() * 4, 255, 3, kCols}() == DS4_OK));
    CHECK(out[0] == 4 && out[127] == 4 && out[128] == 8 && out[199] == 8);
    CHECK(out[kCols] == 16 && out[kCols + 128] == 32 && out[2 * kCols] == 16);
    CHECK((Call{DS4_TYPE_F8_E4M3, DS4_TYPE_F32, codes.data(), codes.size(), scales, 5, out.data(),
                out.size() * 4, 255, 3, kCols}() == DS4_ERR_ARGUMENT));
    CHECK(mentions("scale_bytes is 5"));
    CHECK((Call{DS4_TYPE_F8_E4M3, DS4_TYPE_F32, codes.data(), codes.size(), nullptr, 6, out.data(),
                out.size() * 4, 255, 3, kCols}() == DS4_ERR_ARGUMENT));
    CHECK(mentions("scales is null"));
    CHECK((Call{DS4_TYPE_F8_E4M3, DS4_TYPE_F32, codes.data(), codes.size(), scales, 6, out.data(),
                out.size() * 4, UINT64_MAX, 3, kCols}() == DS4_ERR_ARGUMENT));
}

TEST("NaN scales and values without a form in the target are refused with their row") {
    std::vector<uint8_t> codes(3 * 16, 0x21), blocks(3 * 17);
    const uint8_t scales[3] = {127, 255, 127};
    CHECK((Call{DS4_TYPE_FP4_PACKED, DS4_TYPE_MXFP4, codes.data(), 48, scales, 3, blocks.data(), 51,
                40, 3, 32}() == DS4_ERR_FORMAT));
    CHECK(mentions("row 41") && mentions("NaN"));
    blocks.assign(51, 0x11);
    blocks[34] = 255;
    std::vector<uint8_t> copy(51);
    CHECK((Call{DS4_TYPE_MXFP4, DS4_TYPE_MXFP4, blocks.data(), 51, nullptr, 0, copy.data(), 51, 0,
                3, 32}() == DS4_ERR_FORMAT));
    CHECK(mentions("row 2"));
    for (const uint32_t type : {DS4_TYPE_Q8_0, DS4_TYPE_F16}) {
        std::vector<float> in(64, 1.0f);
        std::vector<uint8_t> out(128);
        in[40] = type == DS4_TYPE_F16 ? 1e6f : std::numeric_limits<float>::infinity();
        CHECK((Call{DS4_TYPE_F32, type, in.data(), 256, nullptr, 0, out.data(), 128, 0, 2, 32}() ==
               DS4_ERR_FORMAT));
        CHECK(mentions("row 1"));
    }
}

TEST("wrong types, sizes and null pointers are refused before anything is touched") {
    std::vector<float> in(64, 1.0f);
    uint8_t out[256] = {};
    const Call good{DS4_TYPE_F32, DS4_TYPE_F16, in.data(), 256, nullptr, 0, out, 128, 0, 2, 32};
    CHECK(good() == DS4_OK);
    const auto refused = [&](auto change, const char *text) {
        Call call = good;
        change(call);
        CHECK(call() == DS4_ERR_ARGUMENT);
        if (!mentions(text))
            ds4::test::record(__FILE__, __LINE__,
                              "no '" + std::string(text) + "' in: " + last_error());
    };
    refused([](Call &c) { c.from_type = 77; }, "77");
    refused(
        [](Call &c) {
            c.to_type = DS4_TYPE_Q4_K;
            c.cols = 256;
        },
        "Q4_K");
    refused([](Call &c) { c.to_type = DS4_TYPE_MXFP4; }, "MXFP4");
    refused([](Call &c) { c.from_type = DS4_TYPE_I32; }, "I32");
    refused(
        [](Call &c) {
            c.to_type = DS4_TYPE_Q8_0;
            c.cols = 33;
        },
        "33");
    refused([](Call &c) { c.from = nullptr; }, "from is null");
    refused([](Call &c) { c.to = nullptr; }, "to is null");
    refused([](Call &c) { c.from_bytes = 255; }, "255");
    refused([](Call &c) { c.to_bytes = 127; }, "127");
    refused([](Call &c) { c.rows = UINT64_MAX / 2; }, "rows");
    refused([](Call &c) { c.cols = UINT64_MAX / 2; }, "columns");
    Call none = good;
    none.rows = 0, none.from = nullptr, none.to = nullptr;
    CHECK(none() == DS4_OK);
}

TEST("every target gives back what it can hold") {
    std::vector<float> in(256);
    for (int i = 0; i < 256; i++) in[size_t(i)] = float(i - 128) * 0.125f;
    for (const uint32_t type : {DS4_TYPE_F32, DS4_TYPE_F16, DS4_TYPE_BF16, DS4_TYPE_Q8_0}) {
        std::vector<uint8_t> stored(ds4_row_bytes(type, 256));
        std::vector<float> back(256);
        CHECK((Call{DS4_TYPE_F32, type, in.data(), 1024, nullptr, 0, stored.data(), stored.size(),
                    0, 1, 256}() == DS4_OK));
        CHECK((Call{type, DS4_TYPE_F32, stored.data(), stored.size(), nullptr, 0, back.data(), 1024,
                    0, 1, 256}() == DS4_OK));
        for (size_t i = 0; i < 256; i++)
            CHECK(std::fabs(back[i] - in[i]) <=
                  (type == DS4_TYPE_Q8_0 ? 16.0f / 127 * 0.51f : 0.0f));
    }
}

} // namespace ds4
