// What speaks for and against packing, and the expert library by path.
#include <fstream>
#include <string>

#include "machine/memory.h"
#include "backend/cpu/blocks/unit_model.h"
#include "experts/expert_placement.h"
#include "experts/expert_library.h"
#include "base/status.h"
#include "base/test.h"
#include "machine/topology.h"

using namespace ds4;
using namespace ds4::cpu;

namespace {

constexpr uint64_t kGib = uint64_t(1) << 30;

bool contains(const std::string &text, const char *part) {
    return text.find(part) != std::string::npos;
}

// Two layers of experts of a storage type; sizes only, nothing to read.
std::vector<LayerWeights> layers_of(const Shape &shape, uint32_t type) {
    LayerWeights w;
    for (int e = 0; e < shape.experts; e++) {
        w.gate.push_back({type, shape.expert_width, shape.hidden, nullptr, nullptr});
        w.up.push_back(w.gate.back());
        w.down.push_back({type, shape.hidden, shape.expert_width, nullptr, nullptr});
    }
    return {w, w};
}

std::string library_error(const std::string &path) {
    try {
        const ExpertLibrary library(path);
        return "opened";
    } catch (const Error &error) {
        return error.what();
    }
}

} // namespace

TEST("experts are packed only where the library holds their shape and their type") {
    Shape shape = unit::shape();
    for (const uint32_t type : {DS4_TYPE_FP4_PACKED, DS4_TYPE_MXFP4, DS4_TYPE_BF16, DS4_TYPE_Q8_0,
                                DS4_TYPE_Q2_K, DS4_TYPE_Q4_K, DS4_TYPE_IQ2_XXS})
        CHECK(packing_obstacle(shape, layers_of(shape, type), 2, true).empty());
    CHECK(contains(packing_obstacle(shape, layers_of(shape, DS4_TYPE_F32), 2, true),
                   "does not hold F32 experts (layer 0)"));
    CHECK(packing_obstacle(shape, layers_of(shape, DS4_TYPE_FP4_PACKED), 2, false).empty());
    CHECK(contains(packing_obstacle(shape, layers_of(shape, DS4_TYPE_MXFP4), 2, false),
                   "lacks ktb_moe_load_matrices"));

    std::vector<LayerWeights> mixed = layers_of(shape, DS4_TYPE_Q4_K);
    mixed[1].down[3].type = DS4_TYPE_Q2_K;
    CHECK(packing_obstacle(shape, mixed, 1, true).empty());
    CHECK(contains(packing_obstacle(shape, mixed, 2, true), "types of layer 1's experts differ"));

    shape.hidden = 192;
    CHECK(contains(packing_obstacle(shape, {}, 0, true), "not multiples of 128"));
    shape = unit::shape(), shape.experts_used = 17;
    CHECK(contains(packing_obstacle(shape, {}, 0, true), "library's 16"));
    shape = unit::shape(), shape.experts = 1025;
    CHECK(contains(packing_obstacle(shape, {}, 0, true), "library's 1024"));
}

TEST(
    "memory decides: for auto everything must fit, where packing was asked for the experts alone") {
    const Shape shape = unit::shape();
    const MemoryNeeds counted =
        memory_needs(shape, layers_of(shape, DS4_TYPE_FP4_PACKED), 2, 5000000, 1000);
    const uint64_t experts = uint64_t(2) * 5 * 3 * 256 * 512 / 32 *
                             17; // two layers of five experts, 17 bytes per 32 weights
    CHECK(counted.packed == experts && counted.rest == 5000000 - experts &&
          counted.sessions == 1000 + experts / 32);

    const MemoryNeeds needs{100 * kGib, 10 * kGib, 5 * kGib};
    CHECK(memory_obstacle(needs, 115 * kGib, true).empty());
    CHECK(contains(memory_obstacle(needs, 114 * kGib, true),
                   "experts take 100.00 GiB and the rest 15.00 GiB; 114.00 GiB are available"));
    CHECK(memory_obstacle(needs, 105 * kGib, false).empty());
    CHECK(!memory_obstacle(needs, 104 * kGib, false).empty());
    CHECK(memory_obstacle(needs, 0, true).empty()); // unknown
    CHECK(machine::available_memory() > 0 && machine::memory_nodes() >= 1);
}

TEST("arithmetic of packed experts follows the engine's unless it is named") {
    CHECK(std::string(expert_numerics(DS4_EXPERT_NUMERICS_AUTO, Precision::int8)) == "int8");
    CHECK(std::string(expert_numerics(DS4_EXPERT_NUMERICS_AUTO, Precision::f32)) == "f32");
    CHECK(std::string(expert_numerics(DS4_EXPERT_NUMERICS_BF16, Precision::f32)) == "bf16");
    CHECK(std::string(expert_numerics(DS4_EXPERT_NUMERICS_FP8REF, Precision::int8)) == "fp8ref");
}

TEST("the library beside this program opens; others are refused with what is wrong") {
    const ExpertLibrary library("");
    CHECK(library.has_extension() && contains(library.path(), "libkt_bridge.so"));
    CHECK(library.functions().engine_create_json("[]") == nullptr);
    CHECK(!library.last_error("none").empty() && library.last_error("none") != "none");
    CHECK(contains(library_error("/nowhere/libkt_bridge.so"), "cannot be loaded"));
    CHECK(contains(library_error("libm.so.6"), "it lacks ktb_engine_create, ktb_engine_destroy"));
}
