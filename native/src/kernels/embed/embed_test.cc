#include "kernels/embed/embed.h"

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "base/error.h"
#include "base/test.h"
#include "ds4.h"
#include "format/convert.h"

namespace {

using namespace ds4;

constexpr uint32_t kTypes[] = {
    DS4_TYPE_F32,  DS4_TYPE_F16,     DS4_TYPE_BF16,  DS4_TYPE_Q8_0,    DS4_TYPE_Q2_K,
    DS4_TYPE_Q4_K, DS4_TYPE_IQ2_XXS, DS4_TYPE_MXFP4, DS4_TYPE_F8_E4M3, DS4_TYPE_FP4_PACKED};

device::Memory upload(const void *from, size_t bytes, device::Stream &stream) {
    device::Memory memory(bytes);
    stream.to_device(memory.data(), from, bytes);
    return memory;
}

std::vector<uint8_t> random_bytes(std::mt19937 &random, size_t count) {
    std::vector<uint8_t> bytes(count);
    for (uint8_t &byte : bytes) byte = uint8_t(random());
    return bytes;
}

// Bytes without meaning: every pattern of a type has to be decoded as the CPU does.
void check_type(uint32_t type, int hidden, int streams, const std::vector<int32_t> &tokens,
                int vocab) {
    std::mt19937 random(type + 7);
    device::Stream stream;
    const size_t row = row_bytes(type, uint64_t(hidden)), width = size_t(hidden);
    const std::vector<uint8_t> table = random_bytes(random, row * size_t(vocab)),
                               scales = random_bytes(random, size_t(vocab) * width);
    std::vector<int32_t> sequences(tokens.size(), 0);
    sequences.back() = -1; // padded
    const device::Memory rows = upload(table.data(), table.size(), stream),
                         row_scales = upload(scales.data(), scales.size(), stream),
                         ids = upload(tokens.data(), tokens.size() * 4, stream),
                         row_sequence = upload(sequences.data(), sequences.size() * 4, stream);
    std::vector<float> out(tokens.size() * size_t(streams) * width);
    device::Memory result(out.size() * 4);
    stream.fill(result.data(), 0xff, result.bytes());
    kernels::EmbedParams params{};
    params.step.rows = int32_t(tokens.size());
    params.step.tokens = ids.as<int32_t>(), params.step.row_sequence = row_sequence.as<int32_t>();
    params.rows = rows.data(), params.type = type;
    params.scales = type_traits(type)->separate_scales ? row_scales.data() : nullptr;
    params.hidden = hidden, params.streams = streams, params.vocab = vocab;
    params.out = result.as<float>();
    kernels::embed(params, stream);
    stream.to_host(out.data(), result.data(), result.bytes());
    stream.wait();
    size_t wrong = 0;
    for (size_t t = 0; t < tokens.size(); t++) {
        std::vector<float> expected(width, 0.0f);
        const size_t token = size_t(tokens[t]);
        const uint8_t *of_row =
            scales.data() +
            (type == DS4_TYPE_F8_E4M3 ? token / 128 * ((width + 127) / 128) : token * width / 32);
        if (tokens[t] >= 0 && tokens[t] < vocab)
            decode_row(type, table.data() + token * row, of_row, expected.data(), hidden);
        for (size_t i = 0; i < size_t(streams) * width; i++) {
            const float actual = out[t * size_t(streams) * width + i], wanted = expected[i % width];
            uint32_t bits;
            std::memcpy(&bits, &actual, 4);
            if (t + 1 == tokens.size())
                wrong += bits == 0xffffffffu ? 0 : 1; // not written
            else
                wrong += actual == wanted || (std::isnan(actual) && std::isnan(wanted)) ? 0 : 1;
        }
    }
    CHECK(wrong == 0);
}

TEST("embeddings of every stored type are those of the file, in all streams") {
    for (const uint32_t type : kTypes)
        for (int order = 0; order < 2; order++)
            check_type(type, 256, 4, {5, 0, 130, 5, 77, 9}, 131);
    check_type(DS4_TYPE_Q8_0, 4096, 4, {1, 2, 0}, 3);
    check_type(DS4_TYPE_F8_E4M3, 544, 1, {128, 127, 0}, 129);
}

TEST("ids outside the vocabulary read nothing and give 0; no rows launch nothing") {
    for (const uint32_t type : {DS4_TYPE_Q8_0, DS4_TYPE_F8_E4M3})
        check_type(type, 64, 2, {3, -1, 2, 2'000'000'000, INT32_MIN, 0}, 3);
    device::Stream stream;
    kernels::EmbedParams params{};
    params.type = DS4_TYPE_F16, params.hidden = 32;
    kernels::embed(params, stream);
    int32_t status = DS4_OK;
    try {
        params.type = DS4_TYPE_I32;
        kernels::embed(params, stream);
    } catch (const Error &error) {
        status = error.status();
    }
    CHECK(status == DS4_ERR_ARGUMENT);
}

} // namespace
