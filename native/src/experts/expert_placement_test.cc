#include "experts/expert_placement.h"

#include <string>

#include "base/test.h"
#include "ds4.h"

using namespace ds4;

TEST("arithmetic of packed experts follows the engine's unless it is named") {
    CHECK(std::string(expert_numerics(DS4_EXPERT_NUMERICS_AUTO, "int8")) == "int8");
    CHECK(std::string(expert_numerics(DS4_EXPERT_NUMERICS_AUTO, "f32")) == "f32");
    CHECK(std::string(expert_numerics(DS4_EXPERT_NUMERICS_BF16, "f32")) == "bf16");
    CHECK(std::string(expert_numerics(DS4_EXPERT_NUMERICS_FP8REF, "int8")) == "fp8ref");
}
