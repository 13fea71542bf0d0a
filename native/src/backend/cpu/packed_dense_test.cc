#include "backend/cpu/packed_dense.h"

#include <cstring>

#include "backend/cpu/kernels/strips.h"
#include "backend/cpu/kernels/weights_for_tests.h"
#include "backend/cpu/weights.h"
#include "base/contains_for_tests.h"
#include "base/error.h"
#include "base/load_progress.h"
#include "base/test.h"
#include "base/thread_pool.h"
#include "ds4.h"

namespace ds4::cpu {
namespace {

using ds4::test::contains;

// A layer whose matrices are Q8_0 but for one, and an output matrix.
struct Case {
    Case()
        : q_a(DS4_TYPE_Q8_0, 40, 96, 1), kv(DS4_TYPE_F16, 16, 96, 2), up(DS4_TYPE_F32, 16, 96, 5),
          output(DS4_TYPE_Q8_0, 33, 64, 3), pool(2) {
        weights.layers.resize(1);
        weights.layers[0].q_a = q_a.matrix, weights.layers[0].kv = kv.matrix;
        weights.layers[0].compressor.values = q_a.matrix;
        weights.layers[0].compressor.gate = kv.matrix, weights.layers[0].shared_up = up.matrix;
        weights.output = output.matrix;
    }
    PackedDense packed(Isa isa, Precision precision, bool wanted, uint64_t reserved) {
        PackedDense dense;
        dense.pack(weights, {}, pool, {isa, precision, wanted, reserved}, LoadProgress(&progress));
        return dense;
    }
    test::Weights q_a, kv, up, output;
    ThreadPool pool;
    Weights weights;
    ds4_load_progress progress{};
};

} // namespace

TEST("dense matrices are packed, F16 rows copied, and the others stay mapped") {
    Case c;
    const PackedDense dense = c.packed(Isa::avx512, Precision::int8, true, 0);
    CHECK(dense.bytes() == packed_bytes(DS4_TYPE_Q8_0, 40, 96) +
                               packed_bytes(DS4_TYPE_Q8_0, 33, 64) + 2 * 16 * 96 * 2);
    CHECK(contains(dense.describe(), "\"place\":\"packed\",\"matrices\":4"));
    // Rows of F16 are copied, and F32 and quantised ones with exact inputs are not.
    const LayerWeights &w = c.weights.layers[0];
    for (const Matrix *copied : {&w.kv, &w.compressor.gate}) {
        CHECK(copied->strips == nullptr && copied->data != c.kv.matrix.data);
        CHECK(std::memcmp(copied->data, c.kv.matrix.data, 16 * 96 * 2) == 0);
    }
    CHECK(w.compressor.values.data == c.q_a.matrix.data && w.compressor.values.strips == nullptr);
    CHECK(w.shared_up.data == c.up.matrix.data && w.shared_up.strips == nullptr);
    for (const Matrix *matrix : {&c.weights.layers[0].q_a, &c.weights.output}) {
        const int64_t strips = (matrix->rows + kStripRows - 1) / kStripRows,
                      bytes = int64_t(packed_bytes(matrix->type, matrix->rows, matrix->cols));
        std::vector<uint8_t> expected(size_t(bytes), 1);
        for (int64_t i = 0; i < strips; i++)
            pack_strip(*matrix, i, expected.data() + i * bytes / strips);
        CHECK(std::memcmp(matrix->strips, expected.data(), size_t(bytes)) == 0);
    }
}

TEST("a matrix with a damaged scale stays mapped, so that its first use names it") {
    Case c;
    const uint16_t infinity = 0x7c00;
    std::memcpy(c.output.codes.data() + 32 * 68 + 34, &infinity, 2); // the last block
    const PackedDense dense = c.packed(Isa::avx512, Precision::int8, true, 0);
    CHECK(contains(dense.describe(), "\"matrices\":3"));
    CHECK(c.progress.done_bytes == dense.bytes()); // it counts, for whoever watches
    CHECK(c.weights.output.strips == nullptr);
    CHECK(c.weights.layers[0].q_a.strips != nullptr);
}

TEST("packed E4M3 asks for bf16 activations; a matrix with an extreme scale stays mapped") {
    if (!has_strips(DS4_TYPE_F8_E4M3, Isa::avx512)) return;
    for (const bool extreme : {false, true}) {
        Case c;
        test::Weights gate(DS4_TYPE_F8_E4M3, 160, 200, 4);
        if (extreme) gate.scales.data()[3] = 250;
        c.weights.layers[0].shared_gate = gate.matrix;
        const PackedDense dense = c.packed(Isa::avx512, Precision::int8, true, 0);
        CHECK((c.weights.layers[0].shared_gate.strips == nullptr) == extreme);
        CHECK(dense.precision() == (extreme ? Precision::int8 : Precision::int8_bf16));
    }
}

TEST("packing of dense matrices counts its bytes, and a cancel ends it before the next strip") {
    Case c;
    const uint64_t bytes = c.packed(Isa::avx512, Precision::int8, true, 0).bytes();
    CHECK(bytes > 0 && c.progress.done_bytes == bytes);
    c.progress.cancel = 1;
    ds4_status status = DS4_OK;
    try {
        c.packed(Isa::avx512, Precision::int8, true, 0);
    } catch (const Error &error) {
        status = error.status();
    }
    CHECK(status == DS4_ERR_CANCELLED && c.progress.done_bytes == 0);
}

TEST("dense matrices stay mapped where memory, the wish, the numerics or the CPU say so") {
    Case c;
    const auto reason = [&](Isa isa, Precision precision, bool wanted, uint64_t reserved) {
        const PackedDense dense = c.packed(isa, precision, wanted, reserved);
        CHECK(dense.bytes() == 0);
        CHECK(c.weights.layers[0].q_a.strips == nullptr);
        return dense.describe();
    };
    CHECK(contains(reason(Isa::avx512, Precision::int8, true, UINT64_MAX / 2), "are available"));
    CHECK(contains(reason(Isa::avx512, Precision::int8, false, 0), "asked for"));
    CHECK(contains(reason(Isa::avx512, Precision::f32, true, 0), "activations are f32"));
    CHECK(contains(reason(Isa::avx2, Precision::int8, true, 0), "no matrix has a packed form"));
}

} // namespace ds4::cpu
