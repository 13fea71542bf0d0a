#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/test.h"
#include "base/test_vectors.h"

using ds4::test::VectorFile;

namespace {

ds4::Shape shape_with(uint32_t original_tokens) {
    ds4::Shape shape{};
    shape.rope_dim = 64, shape.rope_theta = 10000.0f, shape.compress_rope_theta = 160000.0f;
    shape.yarn_factor = 16.0f, shape.yarn_beta_fast = 32.0f, shape.yarn_beta_slow = 1.0f,
    shape.yarn_original_tokens = original_tokens;
    return shape;
}

// positions of rope.safetensors, as rope.json lists them
constexpr uint32_t kPositions[] = {0, 1, 2, 5, 31, 127, 128, 511, 1023, 4095};

void check_table(const VectorFile &file, const std::string &name, uint32_t original_tokens,
                 bool compressed) {
    const ds4::Rope rope(shape_with(original_tokens), compressed);
    const std::string prefix = name + (compressed ? ".compress" : ".main");
    const float *expected = file[prefix + ".inv_freq"].floats();
    for (size_t i = 0; i < 32; i++) CHECK_CLOSE(rope.frequencies()[i] / expected[i], 1.0, 2.5e-7);
    for (size_t p = 0; p < std::size(kPositions); p++) {
        float angles[64];
        rope.angles(kPositions[p], angles);
        // one unit in the last place of a frequency moves the angle by position * 6e-8
        const double tolerance = 2e-7 + 1.2e-7 * kPositions[p];
        for (size_t i = 0; i < 32; i++) {
            CHECK_CLOSE(angles[i], file[prefix + ".cos"].floats()[p * 32 + i], tolerance);
            CHECK_CLOSE(angles[32 + i], file[prefix + ".sin"].floats()[p * 32 + i], tolerance);
        }
    }
}

} // namespace

TEST("rotary tables equal the recorded ones for released and tiny geometries") {
    const VectorFile file("unit/rope.safetensors");
    for (const bool compressed : {false, true}) {
        check_table(file, "release", 65536, compressed);
        check_table(file, "tiny-a", 256, compressed);
        check_table(file, "tiny-b", 65536, compressed);
    }
}

TEST("rotation turns neighbouring channels, and the inverse undoes it") {
    const VectorFile file("unit/rope.safetensors");
    const auto &vectors = file["vector"];
    const ds4::Rope rope(shape_with(65536),
                         true); // recorded with the table of tiny-b's compressed layers
    for (size_t p = 0; p < std::size(kPositions); p++)
        for (int64_t h = 0; h < 3; h++) {
            const int64_t at = (int64_t(p) * 3 + h) * 128;
            float x[128], back[128], angles[64];
            std::copy_n(vectors.floats() + at, 128, x);
            std::copy_n(x, 128, back);
            rope.angles(kPositions[p], angles);
            ds4::rotate(x + 64, angles, 64, false);
            ds4::rotate(back + 64, angles, 64, true);
            const double tolerance =
                2e-6 + 6e-7 * kPositions[p]; // a unit of a frequency, times values up to 4
            for (int i = 0; i < 128; i++) {
                CHECK_CLOSE(x[i], file["rotated"].floats()[at + i], tolerance);
                CHECK_CLOSE(back[i], file["unrotated"].floats()[at + i], tolerance);
            }
            ds4::rotate(x + 64, angles, 64, true);
            for (int i = 0; i < 128; i++) CHECK_CLOSE(x[i], vectors.floats()[at + i], 7e-7);
        }
}

TEST("the released frequencies have the published check values") {
    const ds4::Rope rope(shape_with(65536), true);
    const struct {
        size_t index;
        double value;
    } checks[] = {{0, 1.0},
                  {8, 0.05},
                  {15, 0.00363553858},
                  {16, 0.002265625},
                  {20, 0.000296977778},
                  {24, 1.953125e-05},
                  {25, 5.37231267e-06},
                  {31, 5.68052904e-07}};
    for (const auto &check : checks)
        CHECK_CLOSE(rope.frequencies()[check.index] / check.value, 1.0, 1.2e-7);
}
