// Tables that may replace each other without changing a bit.
#include <cstring>

#include "base/test.h"
#include "kernels/packed_tile.h"
#include "kernels/table_check.h"
#include "machine/instruction_sets.h"

using namespace ds4::ktb;
using ds4::Isa;
using ds4::isa_name;
using namespace ds4::ktb::test;

namespace {

const PackedTile &official_tile() {
    static const PackedTile tile(kStorageCases[0]);
    return tile;
}

CheckWeights official_weights() {
    const PackedTile &tile = official_tile();
    return {tile.first, kTileBytes, kInputs / kGroup, 1, tile.first, kInputs / kGroup, 1};
}

void panel_that_drops_a_group(const PanelArgs &args) {
    PanelArgs fewer = args;
    fewer.groups--;
    kernels_for(Method::mxfp4, Method::mxfp4, ds4::machine::best_isa(), Numerics::int8)
        ->panel(fewer);
}

void panel_that_forgets_a_token(const PanelArgs &args) {
    kernels_for(Method::mxfp4, Method::mxfp4, ds4::machine::best_isa(), Numerics::int8)
        ->panel(args);
    if (args.tokens == 17) std::memset(args.sums + 16 * kTileRows, 0, kTileRows * sizeof(float));
}

} // namespace

TEST("AVX2 and AVX-512 tables that are said to have the same bits have them, at every scale of "
     "activations") {
    if (!ds4::machine::has(Isa::avx512)) return;
    const PackedTile &tile = official_tile();
    for (Numerics numerics : {Numerics::int8, Numerics::f32}) {
        CHECK(have_same_bits(Method::mxfp4, Method::mxfp4, numerics));
        const Kernels &wide = *kernels_for(Method::mxfp4, Method::mxfp4, Isa::avx512, numerics),
                      &narrow = *kernels_for(Method::mxfp4, Method::mxfp4, Isa::avx2, numerics);
        CHECK(check_same_bits(wide, narrow, official_weights()).empty());
        for (const float deviation : {1e-38f, 1e-20f, 1.0f, 1e20f, 1e36f}) {
            const std::vector<float> x = random_values(47u * kInputs, deviation, 8);
            const std::vector<float> a = tile.multiply(wide, x), b = tile.multiply(narrow, x);
            CHECK(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
        }
    }
    std::vector<float> sums = random_values(64 * kTileRows, 40.0f, 9), wide(kGroup), narrow(kGroup);
    for (const float limit : {0.0f, 10.0f})
        for (size_t row = 0; row < 64; row++) {
            kAvx512Int8.swiglu(sums.data() + row * kTileRows, limit, wide.data());
            kAvx2Int8.swiglu(sums.data() + row * kTileRows, limit, narrow.data());
            CHECK(std::memcmp(wide.data(), narrow.data(), wide.size() * sizeof(float)) == 0);
        }
}

TEST("every table of this CPU passes its check, and one with a wrong panel does not") {
    for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512})
        for (Numerics numerics : {Numerics::int8, Numerics::bf16, Numerics::f32}) {
            if (!ds4::machine::has(isa)) continue;
            const std::string defect =
                check_table(*kernels_for(Method::mxfp4, Method::mxfp4, isa, numerics),
                            *kernels_for(Method::mxfp4, Method::mxfp4, Isa::generic, numerics),
                            official_weights());
            if (!defect.empty())
                ds4::test::record(__FILE__, __LINE__,
                                  std::string(isa_name(isa)) + " " + numerics_name(numerics) +
                                      ": " + defect);
        }
    Kernels wrong =
        *kernels_for(Method::mxfp4, Method::mxfp4, ds4::machine::best_isa(), Numerics::int8);
    wrong.panel = panel_that_drops_a_group;
    CHECK(check_table(wrong, kGenericInt8, official_weights()).rfind("gate and up is ", 0) == 0);
    wrong.panel = panel_that_forgets_a_token;
    CHECK(check_table(wrong, kGenericInt8, official_weights()).empty()); // few tokens are right
    CHECK(check_same_bits(
              wrong,
              *kernels_for(Method::mxfp4, Method::mxfp4, ds4::machine::best_isa(), Numerics::int8),
              official_weights())
              .rfind("gate and up has other bits than ", 0) == 0);
    CHECK(!check_same_bits(
               kGenericInt8,
               *kernels_for(Method::mxfp4, Method::mxfp4, ds4::machine::best_isa(), Numerics::bf16),
               official_weights())
               .empty());
}
