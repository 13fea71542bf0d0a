#include "kernels/matmul/matmul.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "backend/cpu/kernels/matmul.h"
#include "backend/cpu/kernels/weights_for_tests.h"
#include "base/contains_for_tests.h"
#include "base/test.h"
#include "ds4.h"
#include "format/scalar.h"

namespace {

using namespace ds4;
using cpu::test::Weights;
using kernels::ProductInput;

// A matrix in device memory, packed.
struct Packed {
    explicit Packed(const Weights &weights) {
        const cpu::Matrix &m = weights.matrix;
        const uint64_t bytes = kernels::packed_bytes(m.type, m.rows, m.cols);
        memory = device::Memory(bytes);
        std::vector<uint8_t> host(bytes, 0xff);
        kernels::pack_matrix({m.type, m.rows, m.cols, m.data, m.scales}, host.data());
        device::Stream stream;
        stream.to_device(memory.data(), host.data(), bytes);
        stream.wait();
        matrix = {m.type, int32_t(m.rows), int32_t(m.cols), memory.data()};
    }
    device::Memory memory;
    kernels::PackedMatrix matrix;
};

// Rows of activations in device memory, with all forms.
struct DeviceRows {
    DeviceRows(const float *values, int32_t rows, int32_t cols)
        : f32(uint64_t(rows) * uint64_t(cols) * 4), quants(uint64_t(rows) * uint64_t(cols)),
          scales(uint64_t(rows) * uint64_t(cols) / 8), halves(uint64_t(rows) * uint64_t(cols) * 2) {
        device::Stream stream;
        stream.to_device(f32.data(), values, f32.bytes());
        kernels::quantise({f32.as<float>(), rows, cols, quants.as<int8_t>(), scales.as<float>(),
                           halves.as<uint16_t>()},
                          stream);
        stream.wait();
        x = {rows,
             cols,
             f32.as<float>(),
             quants.as<int8_t>(),
             scales.as<float>(),
             halves.as<uint16_t>()};
    }
    device::Memory f32, quants, scales, halves;
    kernels::Activations x;
};

std::vector<float> random_rows(int64_t rows, int64_t cols, uint64_t seed) {
    cpu::test::Random random(seed);
    std::vector<float> values(size_t(rows * cols));
    for (size_t i = 0; i < values.size(); i++)
        values[i] = random.symmetric() * std::ldexp(1.0f, int(random.below(6)));
    return values;
}

std::vector<float> product(const Packed &weight, const float *values, int32_t rows,
                           ProductInput input) {
    const kernels::PackedMatrix &m = weight.matrix;
    const DeviceRows x(values, rows, m.cols);
    const int64_t stride = m.rows + 3;
    device::Memory y(uint64_t(rows) * uint64_t(stride) * 4);
    device::Stream stream;
    const kernels::Product one{m, &x.x, input, y.as<float>(), stride};
    kernels::matmul({&one, 1}, rows, stream);
    std::vector<float> padded(size_t(rows * stride)), out(size_t(rows) * size_t(m.rows));
    stream.to_host(padded.data(), y.data(), y.bytes());
    stream.wait();
    for (int64_t row = 0; row < rows; row++) {
        std::memcpy(&out[size_t(row * m.rows)], &padded[size_t(row * stride)], size_t(m.rows) * 4);
        for (int64_t i = m.rows; i < stride; i++) // nothing is written past the results
            CHECK(std::isnan(padded[size_t(row * stride + i)]));
    }
    return out;
}

// Products in float64 and the sums of magnitudes, which errors are measured by.
struct Reference {
    std::vector<double> value, magnitude;
};
Reference reference(const Weights &weights, const std::vector<float> &x, int64_t rows) {
    const int64_t out = weights.matrix.rows, cols = weights.matrix.cols;
    const std::vector<float> decoded = weights.decoded();
    Reference sums{std::vector<double>(size_t(rows * out)),
                   std::vector<double>(size_t(rows * out))};
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = 0; i < out; i++)
            for (int64_t k = 0; k < cols; k++) {
                const double term =
                    double(decoded[size_t(i * cols + k)]) * double(x[size_t(row * cols + k)]);
                sums.value[size_t(row * out + i)] += term;
                sums.magnitude[size_t(row * out + i)] += std::fabs(term);
            }
    return sums;
}

void check_close(const std::vector<float> &got, const Reference &expected, double tolerance,
                 const std::string &what) {
    double worst = 0;
    for (size_t i = 0; i < got.size(); i++) {
        const double off =
            std::fabs(double(got[i]) - expected.value[i]) / (expected.magnitude[i] + 1e-30);
        worst = off <= worst ? worst : off; // NaN counts
    }
    if (!(worst <= tolerance))
        ds4::test::record(__FILE__, __LINE__,
                          what + ": off by " + std::to_string(worst * 1e6) + "e-6, allowed " +
                              std::to_string(tolerance * 1e6) + "e-6");
}

std::vector<float> cpu_product(const Weights &weights, const std::vector<float> &values,
                               int64_t rows, cpu::Precision precision) {
    ThreadPool pool(1);
    const int64_t out = weights.matrix.rows, cols = weights.matrix.cols;
    cpu::test::ActivationMemory memory(rows, cols, precision);
    const cpu::Activations x = cpu::prepare_activations(pool, Isa::generic, values.data(), rows,
                                                        cols, precision, memory.data());
    std::vector<float> y(size_t(rows * out));
    const cpu::Product one{weights.matrix, &x, nullptr, rows, y.data(), out, nullptr};
    cpu::multiply(pool, Isa::generic, {&one, 1});
    return y;
}

// The f32 values that rounded activations stand for.
std::vector<float> rounded_values(const DeviceRows &rows, bool is_bf16) {
    const size_t count = size_t(rows.x.rows) * size_t(rows.x.cols);
    std::vector<int8_t> quants(count);
    std::vector<float> scales(count / 32), values(count);
    std::vector<uint16_t> halves(count);
    device::Stream stream;
    stream.to_host(quants.data(), rows.quants.data(), count);
    stream.to_host(scales.data(), rows.scales.data(), count / 8);
    stream.to_host(halves.data(), rows.halves.data(), count * 2);
    stream.wait();
    for (size_t i = 0; i < count; i++)
        values[i] = is_bf16 ? bf16_to_f32(halves[i]) : float(quants[i]) * scales[i / 32];
    return values;
}

struct Size {
    int32_t out, cols;
};

const char *name_of(uint32_t type) { return type_traits(type)->name; }
std::string label(uint32_t type, const Size &size, int rows) {
    return std::string(name_of(type)) + " " + std::to_string(size.out) + "x" +
           std::to_string(size.cols) + ", " + std::to_string(rows) + " rows";
}

bool is_packed_type(uint32_t type) { return kernels::takes_int8(type) || type == DS4_TYPE_F8_E4M3; }
std::vector<uint32_t> all_types() {
    std::vector<uint32_t> types;
    for (const uint32_t type : cpu::test::kDenseTypes) types.push_back(type);
    for (const uint32_t type : cpu::test::kBlockTypes) types.push_back(type);
    return types;
}
int32_t least_cols(uint32_t type) {
    return std::max<int32_t>(32, int32_t(type_traits(type)->block_elements));
}

TEST("exact products of every weight type agree with float64") {
    for (const uint32_t type : all_types()) {
        const int32_t least = least_cols(type);
        for (const Size size : {Size{1, least}, Size{17, 5 * least}, Size{37, 1280}})
            for (const int rows : {1, 2, 9}) {
                const Weights weights(type, size.out, size.cols, uint64_t(type + 1));
                const std::vector<float> x = random_rows(rows, size.cols, 7);
                const Packed packed(weights);
                check_close(product(packed, x.data(), rows, ProductInput::exact),
                            reference(weights, x, rows), 1e-6, label(type, size, rows));
            }
    }
}

// Tensor cores cut the last bits of their f32 sums.
double rounded_tolerance(uint32_t type) { return type == DS4_TYPE_F8_E4M3 ? 1e-5 : 2e-6; }

TEST("rounded products agree with float64 sums of the rounded activations") {
    for (const uint32_t type : all_types()) {
        if (!is_packed_type(type)) continue;
        const int32_t least = least_cols(type);
        for (const Size size : {Size{15, least}, Size{16, 3 * least}, Size{33, 1280}})
            for (const int rows : {1, 5, 11}) {
                const Weights weights(type, size.out, size.cols, uint64_t(type + 1));
                const std::vector<float> x = random_rows(rows, size.cols, 8);
                const DeviceRows forms(x.data(), rows, size.cols);
                const Packed packed(weights);
                check_close(
                    product(packed, x.data(), rows, ProductInput::rounded),
                    reference(weights, rounded_values(forms, type == DS4_TYPE_F8_E4M3), rows),
                    rounded_tolerance(type), label(type, size, rows));
            }
    }
}

TEST("rounded products of block types agree with the CPU") {
    for (const uint32_t type : all_types()) {
        if (!kernels::takes_int8(type)) continue;
        const Size size{40, 1536};
        for (const int rows : {1, 3}) {
            const Weights weights(type, size.out, size.cols, 5);
            const std::vector<float> x = random_rows(rows, size.cols, 9);
            const std::vector<float> got =
                product(Packed(weights), x.data(), rows, ProductInput::rounded);
            const std::vector<float> expected = cpu_product(weights, x, rows, cpu::Precision::int8);
            const Reference scale = reference(weights, x, rows);
            for (size_t i = 0; i < got.size(); i++)
                CHECK_CLOSE(got[i], expected[i], 1e-6 * scale.magnitude[i]);
        }
    }
}

// So many outputs and rows that every form of the kernels has its turn, on a GPU too.
struct FormSizes {
    bool is_large = device::facts(0).multiprocessors > 16;
    int32_t outputs = is_large ? 4224 : 130, rows = is_large ? 526 : 142;
};

// A row alone, among others, and at another place must be the same bits.
void check_rows_alike(uint32_t type, ProductInput input, const Size &size, int32_t most_rows) {
    const Weights weights(type, size.out, size.cols, 11);
    const Packed packed(weights);
    const std::vector<float> x = random_rows(most_rows, size.cols, 12);
    std::vector<float> alone;
    for (int64_t row = most_rows - 2; row < most_rows; row++) {
        const std::vector<float> y = product(packed, x.data() + row * size.cols, 1, input);
        alone.insert(alone.end(), y.begin(), y.end());
    }
    for (const int32_t rows : {2, 8, 9, 40, 142, 526}) {
        if (rows > most_rows) continue;
        const std::vector<float> y =
            product(packed, x.data() + int64_t(most_rows - rows) * size.cols, rows, input);
        if (std::memcmp(alone.data(), &y[size_t(rows - 2) * size_t(size.out)], alone.size() * 4) !=
            0)
            ds4::test::record(__FILE__, __LINE__,
                              label(type, size, rows) +
                                  (input == ProductInput::exact ? " exact" : " rounded"));
    }
}

TEST("a row of a product depends on no other row") {
    const FormSizes sizes;
    for (const uint32_t type : all_types())
        for (const ProductInput input : {ProductInput::exact, ProductInput::rounded}) {
            if (input == ProductInput::rounded && !is_packed_type(type)) continue;
            const bool is_rare = least_cols(type) > 32 || type == DS4_TYPE_MXFP4;
            const bool has_wide = input == ProductInput::rounded && !is_rare;
            check_rows_alike(type, input,
                             {is_rare ? 20 : sizes.outputs, least_cols(type) > 32 ? 1280 : 1120},
                             has_wide || sizes.is_large ? sizes.rows : 40);
        }
}

TEST("many products of several types and inputs in one call") {
    const uint32_t types[] = {DS4_TYPE_Q8_0, DS4_TYPE_F8_E4M3, DS4_TYPE_Q8_0, DS4_TYPE_F16,
                              DS4_TYPE_F32,  DS4_TYPE_BF16,    DS4_TYPE_MXFP4};
    for (const int32_t rows : {0, 1, 4, 12}) {
        std::vector<Weights *> weights;
        std::vector<Packed> packed;
        std::vector<DeviceRows> x;
        std::vector<device::Memory> y;
        std::vector<kernels::Product> products;
        x.reserve(40), packed.reserve(40);
        std::vector<std::vector<float>> values;
        for (int i = 0; i < 21; i++) {
            const int32_t out = i == 0 || i == 5 ? 0 : 1 + i * 13, cols = 32 * (1 + i * i % 7);
            auto *made = new Weights(types[i % 7], out, cols, uint64_t(i + 1));
            weights.push_back(made), packed.emplace_back(*made);
            values.push_back(random_rows(rows, cols, uint64_t(i + 50)));
            x.emplace_back(values.back().data(), rows, cols);
            y.emplace_back(uint64_t(std::max(1, rows)) * uint64_t(std::max(1, out)) * 4);
        }
        for (size_t i = 0; i < 21; i++)
            products.push_back({packed[i].matrix, &x[i].x,
                                i % 3 == 0 ? ProductInput::exact : ProductInput::rounded,
                                y[i].as<float>(), packed[i].matrix.rows});
        device::Stream stream;
        kernels::matmul(products, rows, stream);
        for (size_t i = 0; i < 21; i++) {
            const int32_t out = packed[i].matrix.rows;
            std::vector<float> got(size_t(rows) * size_t(out));
            stream.to_host(got.data(), y[i].data(), got.size() * 4);
            stream.wait();
            const std::vector<float> alone =
                product(packed[i], values[i].data(), rows, products[i].input);
            CHECK(got.empty() || std::memcmp(got.data(), alone.data(), got.size() * 4) == 0);
            delete weights[i];
        }
    }
}

TEST("one row of a matrix as wide as the model's") {
    for (const uint32_t type : {DS4_TYPE_Q8_0, DS4_TYPE_F8_E4M3, DS4_TYPE_BF16}) {
        const Size size{48, 4096};
        const Weights weights(type, size.out, size.cols, 3);
        const std::vector<float> x = random_rows(1, size.cols, 4);
        const DeviceRows forms(x.data(), 1, size.cols);
        const bool is_plain = !is_packed_type(type);
        const std::vector<float> values =
            is_plain ? x : rounded_values(forms, type == DS4_TYPE_F8_E4M3);
        check_close(product(Packed(weights), x.data(), 1, ProductInput::rounded),
                    reference(weights, values, 1), rounded_tolerance(type), label(type, size, 1));
    }
}

TEST("one row that is too long for shared memory is as among others") {
    const Weights weights(DS4_TYPE_BF16, 3, 16416, 31);
    const Packed packed(weights);
    const std::vector<float> x = random_rows(2, 16416, 32);
    const std::vector<float> alone = product(packed, x.data(), 1, ProductInput::exact),
                             both = product(packed, x.data(), 2, ProductInput::exact);
    check_close(both, reference(weights, x, 2), 1e-6, "long rows");
    CHECK(std::memcmp(alone.data(), both.data(), alone.size() * 4) == 0);
}

// E8M0 scales at both ends, f16 scales that are subnormal, infinite rows.
TEST("extreme scales and values stay in their rows") {
    const Size size{20, 256};
    for (const uint8_t scale : {uint8_t(1), uint8_t(120), uint8_t(220)}) {
        Weights weights(DS4_TYPE_F8_E4M3, size.out, size.cols, 21);
        for (uint64_t i = 0; i < weights.scales.size(); i++) weights.scales.data()[i] = scale;
        const float factor = std::ldexp(1.0f, std::min(127 - int(scale), 107));
        std::vector<float> x = random_rows(3, size.cols, 22);
        for (float &value : x) value *= factor * 0.25f;
        for (const ProductInput input : {ProductInput::exact, ProductInput::rounded}) {
            const DeviceRows forms(x.data(), 3, size.cols);
            const std::vector<float> values =
                input == ProductInput::exact ? x : rounded_values(forms, true);
            check_close(product(Packed(weights), x.data(), 3, input), reference(weights, values, 3),
                        rounded_tolerance(DS4_TYPE_F8_E4M3), "scale " + std::to_string(scale));
        }
    }
    Weights weights(DS4_TYPE_Q8_0, size.out, size.cols, 23);
    for (uint64_t i = 0; i + 34 <= weights.codes.size(); i += 34) {
        weights.codes.data()[i] = uint8_t(i), weights.codes.data()[i + 1] = 0x80; // subnormal
        weights.codes.data()[i + 2] = 0x80;                                       // -128
    }
    std::vector<float> x = random_rows(4, size.cols, 24);
    x[size_t(2 * size.cols + 5)] = INFINITY;
    const std::vector<float> y = product(Packed(weights), x.data(), 4, ProductInput::rounded),
                             first = product(Packed(weights), x.data(), 2, ProductInput::rounded);
    CHECK(std::memcmp(y.data(), first.data(), first.size() * 4) == 0);
    for (int i = 0; i < size.out; i++) {
        CHECK(std::isnan(y[size_t(2 * size.out + i)]));
        CHECK(std::isfinite(y[size_t(3 * size.out + i)]));
    }
}

std::string message_of(const std::function<void()> &run) {
    try {
        run();
    } catch (const std::exception &error) {
        return error.what();
    }
    return "";
}

TEST("shapes that no kernel takes are refused") {
    using ds4::test::contains;
    CHECK(contains(message_of([] { kernels::packed_bytes(DS4_TYPE_F32, 4, 40); }), "40 columns"));
    CHECK(contains(message_of([] { kernels::packed_bytes(DS4_TYPE_I32, 4, 64); }), "I32"));
    CHECK(contains(message_of([] { kernels::packed_bytes(9999, 4, 64); }), "unknown"));
    CHECK(kernels::packed_bytes(DS4_TYPE_Q8_0, 17, 4096) == 2 * 32 * 2176);
    CHECK(kernels::packed_bytes(DS4_TYPE_F8_E4M3, 16, 4096) == 32 * 2048 + 256);
    const Weights weights(DS4_TYPE_Q8_0, 16, 64, 1);
    const Packed packed(weights);
    const std::vector<float> values = random_rows(1, 96, 2);
    const DeviceRows x(values.data(), 1, 96);
    device::Memory y(64);
    device::Stream stream;
    kernels::Activations askew = x.x;
    askew.cols = 64, askew.values += 1;
    const kernels::Product unaligned{packed.matrix, &askew, ProductInput::exact, y.as<float>(), 16};
    CHECK(contains(message_of([&] { kernels::matmul({&unaligned, 1}, 1, stream); }), "16 bytes"));
    const kernels::Product wrong{packed.matrix, &x.x, ProductInput::exact, y.as<float>(), 16};
    CHECK(contains(message_of([&] { kernels::matmul({&wrong, 1}, 1, stream); }), "64 columns"));
}

} // namespace
