// Decode of one token with every way of holding weights, against the read of as many stored bytes.
#include <cstddef>
#include <cstring>
#include <stdexcept>

#include "format/blocks.h"
#include "moe/suites.h"
#include "moe/turns.h"

namespace ds4::bench {
namespace {

constexpr size_t kCalls = 64;
constexpr uint16_t kHalfScale = 0x1c00; // f16 2^-8, so that sums stay of order 1

struct Field {
    size_t offset;
    uint16_t value;
};

// A stored matrix row: blocks of bytes with scales inside, or scales apart.
struct Method {
    const char *name;
    ktb_method_t number;
    int block_columns, block_bytes;
    std::vector<Field> scales;     // within a block
    int scale_rows, scale_columns; // that share an f32 scale apart; rows 0: none, columns 0: all
};

const std::vector<Method> &methods() {
    static const std::vector<Method> all = {
        {"FP8", KTB_FP8, 1, 1, {}, 128, 128},
        {"FP8_PERCHANNEL", KTB_FP8_PERCHANNEL, 1, 1, {}, 1, 0},
        {"BF16", KTB_BF16, 1, 2, {}, 0, 0},
        {"Q8_0", KTB_Q8_0, 32, sizeof(BlockQ8_0), {{0, kHalfScale}}, 0, 0},
        {"Q2_K",
         KTB_Q2_K,
         256,
         sizeof(BlockQ2K),
         {{offsetof(BlockQ2K, d), kHalfScale}, {offsetof(BlockQ2K, dmin), kHalfScale}},
         0,
         0},
        {"Q4_K",
         KTB_Q4_K,
         256,
         sizeof(BlockQ4K),
         {{offsetof(BlockQ4K, d), kHalfScale}, {offsetof(BlockQ4K, dmin), kHalfScale}},
         0,
         0},
        {"IQ2_XXS", KTB_IQ2_XXS, 256, sizeof(BlockIq2Xxs), {{0, kHalfScale}}, 0, 0},
    };
    return all;
}

struct StoredMatrix {
    std::vector<uint8_t> codes;
    std::vector<float> scales;
};

StoredMatrix random_matrix(const Method &method, int rows, int columns, Random &random) {
    StoredMatrix matrix;
    matrix.codes.resize(size_t(rows) * size_t(columns / method.block_columns) *
                        size_t(method.block_bytes));
    for (size_t i = 0; i + 8 <= matrix.codes.size(); i += 8) {
        const uint64_t bits = random.next();
        std::memcpy(&matrix.codes[i], &bits, 8);
    }
    for (size_t block = 0; block < matrix.codes.size(); block += size_t(method.block_bytes))
        for (const Field &field : method.scales)
            std::memcpy(&matrix.codes[block + field.offset], &field.value, sizeof field.value);
    if (method.scale_rows > 0)
        for (uint8_t &code : matrix.codes) code &= 0xbf; // E4M3 below 2: no NaN
    if (method.number == KTB_BF16)
        for (size_t i = 1; i < matrix.codes.size(); i += 2)
            matrix.codes[i] = uint8_t((matrix.codes[i] & 0x80) | 0x3c); // near 2^-7
    const int per_row =
        method.scale_columns == 0 ? 1 : (columns + method.scale_columns - 1) / method.scale_columns;
    if (method.scale_rows > 0)
        matrix.scales.assign(
            size_t((rows + method.scale_rows - 1) / method.scale_rows) * size_t(per_row), 0x1p-8f);
    return matrix;
}

// Measures decode turn by turn with a read of as many bytes.
void report_row(Bench &bench, const Kind &kind, const char *name, ExpertLayers &layers,
                const Shape &shape, double expert_bytes) {
    const double bytes = expert_bytes * shape.experts_per_token;
    Reader reader(bench.memory, bench.settings.threads, bench.settings.parts);
    Random random;
    std::vector<Routes> calls;
    for (size_t call = 0; call < kCalls; call++) calls.push_back(random_routes(shape, 1, random));
    const std::vector<float> input = random_input(shape, 1);
    std::vector<float> output(input.size());
    size_t at = 0;
    const std::vector<Samples> samples =
        take_turns({{[&] { reader.read(size_t(bytes)); }},
                    {[&] { layers.forward(0, calls[at++ % kCalls], input, output); }}},
                   {bench.settings.seconds, 3, 6, 2});
    const double rate = bytes / samples[1].first_decile();
    bench.report.row("methods", {{"method", name},
                                 {"isa", kind.isa},
                                 {"numerics", kind.numerics},
                                 {"expert_mb", expert_bytes / 1e6},
                                 {"ms", samples[1].first_decile() * 1e3},
                                 {"gb_per_s", rate / 1e9},
                                 {"of_read", samples[0].first_decile() / samples[1].first_decile()},
                                 {"of_read_median", samples[0].median() / samples[1].median()},
                                 {"of_stream", rate / bench.stream}});
}

void measure(Bench &bench, const Kind &kind, const Method &method) {
    Shape shape = bench.settings.shape;
    Random random;
    StoredMatrix matrices[3];
    double expert_bytes = 0;
    for (int matrix = 0; matrix < 3; matrix++) {
        matrices[matrix] = random_matrix(method, matrix == 2 ? shape.hidden : shape.intermediate,
                                         matrix == 2 ? shape.intermediate : shape.hidden, random);
        expert_bytes +=
            double(matrices[matrix].codes.size()) + 4.0 * double(matrices[matrix].scales.size());
    }
    shape.experts =
        std::max(2 * shape.experts_per_token,
                 std::min(shape.experts, int(double(bench.settings.layer_bytes()) /
                                             expert_bytes))); // as much memory as the other suites
    ExpertLayers layers(kind, shape, 1, bench.settings.threads, bench.settings.parts,
                        method.number);
    const void *const codes[3] = {matrices[0].codes.data(), matrices[1].codes.data(),
                                  matrices[2].codes.data()};
    const void *const scales[3] = {matrices[0].scales.data(), matrices[1].scales.data(),
                                   matrices[2].scales.data()};
    layers.load_copies(codes, scales);
    report_row(bench, kind, method.name, layers, shape, expert_bytes);
}

} // namespace

void measure_methods(Bench &bench, const Kind &kind) {
    const Settings &settings = bench.settings;
    {
        ExpertLayers layers(kind, settings.shape, 1, settings.threads, settings.parts);
        layers.load(bench.source);
        report_row(bench, kind, "MXFP4", layers, settings.shape, settings.shape.expert_bytes());
    }
    for (const Method &method : methods()) {
        try {
            measure(bench, kind, method);
        } catch (const std::runtime_error &error) {
            bench.report.skip("methods", kind.name() + ", " + method.name + ": " + error.what());
        }
    }
}

} // namespace ds4::bench
