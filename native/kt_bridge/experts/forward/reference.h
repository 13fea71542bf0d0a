// A slow, obvious forward in f64. It shares nothing with the kernels, the tile layout or the
// decoders of src/format.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace ds4::ktb {

struct CanonicalExpert {            // w1, w3: [I, H]; w2: [H, I]
    std::vector<uint8_t> codes[3];  // gate, up, down: [rows, cols / 2]
    std::vector<uint8_t> scales[3]; // E8M0 [rows, cols / 32]
};

// The exact value of one weight.
double canonical_weight(const CanonicalExpert &expert, int matrix, int row, int column,
                        int columns);

struct ReferenceRequest {
    int hidden, intermediate, tokens, experts_per_token;
    const float *input;   // [tokens, hidden]
    const int32_t *ids;   // [tokens, experts per token]; outside the experts: skipped
    const float *weights; // [tokens, experts per token]
    double limit;
};
// Gives the weights of a row of one matrix, all columns. matrix: 0 gate, 1 up, 2 down.
using RowDecoder =
    std::function<void(size_t expert, int matrix, int row, std::vector<double> &out)>;
// [tokens, hidden]
std::vector<double> reference_forward(size_t experts, const RowDecoder &decode,
                                      const ReferenceRequest &request);
std::vector<double> reference_forward(const std::vector<CanonicalExpert> &experts,
                                      const ReferenceRequest &request);

// Codes and scales drawn from `seed`. Scales are near 2^-6, so that outputs are of order 1.
std::vector<CanonicalExpert> random_experts(int count, int hidden, int intermediate, uint64_t seed);
std::vector<float> random_values(size_t count, float deviation, uint64_t seed); // roughly Gaussian

} // namespace ds4::ktb
