#include "experts/library_support.h"

#include "base/contains_for_tests.h"
#include "base/test.h"
#include "ds4.h"
#include "experts/layers_for_tests.h"

using namespace ds4;
using namespace ds4::test;

TEST("experts are packed only where the library holds their shape and their type") {
    Shape shape = expert_shape();
    for (const uint32_t type : {DS4_TYPE_FP4_PACKED, DS4_TYPE_MXFP4, DS4_TYPE_BF16, DS4_TYPE_Q8_0,
                                DS4_TYPE_Q2_K, DS4_TYPE_Q4_K, DS4_TYPE_IQ2_XXS})
        CHECK(packing_obstacle(shape, expert_layers(shape, type), 2, true).empty());
    CHECK(contains(packing_obstacle(shape, expert_layers(shape, DS4_TYPE_F32), 2, true),
                   "does not hold F32 experts (layer 0)"));
    CHECK(packing_obstacle(shape, expert_layers(shape, DS4_TYPE_FP4_PACKED), 2, false).empty());
    CHECK(contains(packing_obstacle(shape, expert_layers(shape, DS4_TYPE_MXFP4), 2, false),
                   "lacks ktb_moe_load_matrices"));

    std::vector<LayerTensors> mixed = expert_layers(shape, DS4_TYPE_Q4_K);
    mixed[1].down[3].type = DS4_TYPE_Q2_K;
    CHECK(packing_obstacle(shape, mixed, 1, true).empty());
    CHECK(contains(packing_obstacle(shape, mixed, 2, true), "types of layer 1's experts differ"));

    shape.hidden = 192;
    CHECK(contains(packing_obstacle(shape, {}, 0, true), "not multiples of 128"));
    shape = expert_shape(), shape.experts_per_token = 17;
    CHECK(contains(packing_obstacle(shape, {}, 0, true), "library's 16"));
    shape = expert_shape(), shape.experts = 1025;
    CHECK(contains(packing_obstacle(shape, {}, 0, true), "library's 1024"));
}
