#include "experts/forward/reference.h"

#include <cmath>

namespace ds4::ktb {
namespace {

struct Generator { // splitmix64
    uint64_t state;
    uint64_t next() {
        uint64_t z = state += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    double uniform() { return double(next() >> 11) * 0x1p-53; }
};

// One row of a matrix.
void decode_row(const CanonicalExpert &expert, int matrix, int row, std::vector<double> &out) {
    for (size_t column = 0; column < out.size(); column++)
        out[column] = canonical_weight(expert, matrix, row, int(column), int(out.size()));
}

double dot(const double *weights, const double *values, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) sum += weights[i] * values[i];
    return sum;
}

} // namespace

double canonical_weight(const CanonicalExpert &expert, int matrix, int row, int column,
                        int columns) {
    constexpr double kMagnitudes[8] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    const size_t at = size_t(row) * size_t(columns) + size_t(column);
    const int nibble = expert.codes[matrix][at / 2] >> (at % 2 * 4) & 15;
    const double magnitude =
        std::ldexp(kMagnitudes[nibble & 7], int(expert.scales[matrix][at / 32]) - 127);
    return (nibble & 8) != 0 ? -magnitude : magnitude;
}

std::vector<double> reference_forward(const std::vector<CanonicalExpert> &experts,
                                      const ReferenceRequest &request) {
    return reference_forward(
        experts.size(),
        [&](size_t expert, int matrix, int row, std::vector<double> &out) {
            decode_row(experts[expert], matrix, row, out);
        },
        request);
}

std::vector<double> reference_forward(size_t experts, const RowDecoder &decode,
                                      const ReferenceRequest &request) {
    const size_t hidden = size_t(request.hidden), intermediate = size_t(request.intermediate);
    std::vector<double> out(size_t(request.tokens) * hidden, 0.0),
        input(request.input, request.input + out.size());
    for (size_t id = 0; id < experts; id++) {
        std::vector<int> slots;
        for (int slot = 0; slot < request.tokens * request.experts_per_token; slot++)
            if (request.ids[slot] == int32_t(id) && request.weights[slot] != 0.0f)
                slots.push_back(slot);
        if (slots.empty()) continue;
        std::vector<double> gate(hidden), up(hidden), down(intermediate),
            activations(slots.size() * intermediate);
        for (int row = 0; row < request.intermediate; row++) {
            decode(id, 0, row, gate);
            decode(id, 1, row, up);
            for (size_t i = 0; i < slots.size(); i++) {
                const double *x = &input[size_t(slots[i] / request.experts_per_token) * hidden];
                double g = dot(gate.data(), x, request.hidden),
                       u = dot(up.data(), x, request.hidden);
                if (request.limit > 0)
                    g = std::fmin(g, request.limit),
                    u = std::fmax(-request.limit, std::fmin(u, request.limit));
                activations[i * intermediate + size_t(row)] = g / (1 + std::exp(-g)) * u;
            }
        }
        for (int row = 0; row < request.hidden; row++) {
            decode(id, 2, row, down);
            for (size_t i = 0; i < slots.size(); i++)
                out[size_t(slots[i] / request.experts_per_token) * hidden + size_t(row)] +=
                    double(request.weights[slots[i]]) *
                    dot(down.data(), &activations[i * intermediate], request.intermediate);
        }
    }
    return out;
}

std::vector<CanonicalExpert> random_experts(int count, int hidden, int intermediate,
                                            uint64_t seed) {
    Generator generator{seed};
    std::vector<CanonicalExpert> experts(size_t(count), CanonicalExpert{});
    const size_t values = size_t(hidden) * size_t(intermediate);
    for (CanonicalExpert &expert : experts)
        for (int matrix = 0; matrix < 3; matrix++) {
            for (size_t i = 0; i < values / 2; i++)
                expert.codes[matrix].push_back(uint8_t(generator.next() >> 32));
            for (size_t i = 0; i < values / 32; i++)
                expert.scales[matrix].push_back(uint8_t(119 + (generator.next() >> 40) % 4));
        }
    return experts;
}

std::vector<float> random_values(size_t count, float deviation, uint64_t seed) {
    Generator generator{seed};
    std::vector<float> out(count);
    for (float &value : out) { // twelve uniforms have variance 1
        double sum = -6;
        for (int i = 0; i < 12; i++) sum += generator.uniform();
        value = float(sum * double(deviation));
    }
    return out;
}

} // namespace ds4::ktb
