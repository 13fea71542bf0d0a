#include "kernels/table_check.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

namespace ds4::ktb {
namespace {

constexpr int kPlainTokens = 3;                 // the plain kernels are slow
constexpr int kPieces[] = {41, 17, 5, 3, 2, 1}; // sizes around which kernels change their loops
constexpr double kAllowed = 1e-3;               // relative; the worst table, bf16, is at 1e-6

class Numbers { // roughly normal and the same on every machine
  public:
    float next() {
        float sum = 0;
        for (int i = 0; i < 4; i++) {
            state_ = state_ * 6364136223846793005u + 1442695040888963407u;
            sum += float(int32_t(state_ >> 33) - (1 << 30)) / float(1 << 30);
        }
        return sum;
    }
    std::vector<float> take(size_t count) {
        std::vector<float> values(count);
        for (float &value : values) value = next();
        return values;
    }

  private:
    uint64_t state_ = 1;
};

// Memory for `count` values, 64-byte aligned.
template <class T> class Aligned {
  public:
    explicit Aligned(size_t count) : memory_(count * sizeof(T) + 64) {}
    T *data() {
        return reinterpret_cast<T *>(memory_.data() +
                                     (64 - reinterpret_cast<uintptr_t>(memory_.data()) % 64) % 64);
    }

  private:
    std::vector<uint8_t> memory_;
};

struct Prepared {
    Aligned<uint8_t> bytes;
    std::vector<const uint8_t *> rows;

    Prepared(const Kernels &table, const std::vector<float> &x, int groups, int tokens)
        : bytes(size_t(tokens) * size_t(groups) * table.group_bytes) {
        for (int t = 0; t < tokens; t++) {
            uint8_t *row = bytes.data() + size_t(t) * size_t(groups) * table.group_bytes;
            table.prepare(x.data() + size_t(t) * size_t(groups) * kGroup, groups, row);
            rows.push_back(row);
        }
    }
};

// Results of the stages for the first `tokens` of the same numbers, in calls of `piece` tokens.
struct Stages {
    std::vector<float> panel, intermediate, down, down_panel, sums;

    Stages(const Kernels &table, const CheckWeights &weights, int tokens, int piece) {
        Numbers numbers;
        const Prepared inputs(
            table, numbers.take(size_t(kPieces[0]) * size_t(weights.input_groups) * kGroup),
            weights.input_groups, tokens);
        const Prepared groups(
            table, numbers.take(size_t(kPieces[0]) * size_t(weights.down_tile_groups) * kGroup),
            weights.down_tile_groups, tokens);
        Aligned<uint8_t> scratch(kPanelScratchBytes);
        panel.resize(size_t(tokens) * kTileRows), intermediate.resize(size_t(tokens) * kGroup),
            down_panel.resize(size_t(tokens) * kTileRows);
        const int width = weights.row_tiles * kTileRows;
        down.resize(size_t(tokens) * size_t(width));
        for (int first = 0; first < tokens; first += piece) {
            const int count = std::min(piece, tokens - first);
            table.panel({weights.input_tiles, weights.input_stride, weights.input_groups,
                         inputs.rows.data() + first, count,
                         panel.data() + size_t(first) * kTileRows, scratch.data(),
                         weights.input_tile_groups});
            table.down_panel({weights.down_tiles, 0, weights.down_tile_groups,
                              groups.rows.data() + first, count,
                              down_panel.data() + size_t(first) * kTileRows, scratch.data(),
                              weights.down_tile_groups});
            std::vector<float *> outputs;
            for (int t = first; t < first + count; t++)
                outputs.push_back(down.data() + size_t(t) * size_t(width));
            table.down({weights.down_tiles, weights.row_tiles, groups.rows.data() + first,
                        outputs.data(), count, true, weights.down_tile_groups});
        }
        for (int t = 0; t < tokens; t++)
            table.swiglu(panel.data() + size_t(t) * kTileRows, 1.5f,
                         intermediate.data() + size_t(t) * kGroup);
        sums = numbers.take(size_t(width));
        table.add_scaled(down.data(), 0.7f, sums.data(), width);
        table.add(down.data(), sums.data(), width);
    }
};

struct Stage {
    const char *name;
    std::vector<float> Stages::*values;
};
constexpr Stage kStages[] = {{"gate and up", &Stages::panel},
                             {"activation", &Stages::intermediate},
                             {"down", &Stages::down},
                             {"down panel", &Stages::down_panel},
                             {"sum", &Stages::sums}};

double relative_difference(const std::vector<float> &got, const std::vector<float> &expected) {
    double difference = 0, size = 0;
    for (size_t i = 0; i < expected.size(); i++) {
        difference +=
            (double(got[i]) - double(expected[i])) * (double(got[i]) - double(expected[i]));
        size += double(expected[i]) * double(expected[i]);
    }
    return difference == 0 ? 0 : std::sqrt(difference / size); // NaN in either stays
}

} // namespace

std::string check_table(const Kernels &table, const Kernels &plain, const CheckWeights &weights) {
    const Stages got(table, weights, kPlainTokens, kPlainTokens),
        expected(plain, weights, kPlainTokens, kPlainTokens);
    for (const Stage &stage : kStages) {
        const double difference = relative_difference(got.*stage.values, expected.*stage.values);
        if (difference <= kAllowed) continue;
        char text[96];
        std::snprintf(text, sizeof text, "%s is %.2g from the plain kernels", stage.name,
                      difference);
        return text;
    }
    return "";
}

std::string check_same_bits(const Kernels &table, const Kernels &other,
                            const CheckWeights &weights) {
    if (table.group_bytes != other.group_bytes) return "activations are prepared differently";
    const Stages expected(other, weights, kPieces[0], kPieces[0]);
    for (const int piece : kPieces) {
        const Stages got(table, weights, kPieces[0], piece);
        for (const Stage &stage : kStages)
            if (std::memcmp((got.*stage.values).data(), (expected.*stage.values).data(),
                            (got.*stage.values).size() * sizeof(float)) != 0)
                return std::string(stage.name) + " has other bits than " + other.isa;
    }
    return "";
}

} // namespace ds4::ktb
