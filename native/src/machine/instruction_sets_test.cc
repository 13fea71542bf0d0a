#include "machine/instruction_sets.h"

#include <algorithm>

#include "base/test.h"
#include "machine/cpu_model.h"

using namespace ds4;

TEST("a larger instruction set implies the smaller ones, and the best one is there") {
    CHECK(machine::has(Isa::generic));
    CHECK(!machine::has(Isa::avx512) || machine::has(Isa::avx2));
    CHECK(!machine::has(Isa::amx) || machine::has_avx512_bf16());
    CHECK(!machine::has_avx512_bf16() || machine::has(Isa::avx512));
    CHECK(machine::has(machine::best_isa()) && machine::best_isa() != Isa::amx);
}

TEST("the features of the CPU contain those of its instruction sets") {
    const std::vector<std::string> features = machine::cpu_features();
    const auto lists = [&](const char *name) {
        return std::find(features.begin(), features.end(), name) != features.end();
    };
    CHECK(!machine::cpu_model().empty());
    CHECK(!machine::has(Isa::avx2) || (lists("avx2") && lists("fma") && lists("f16c")));
    CHECK(!machine::has(Isa::avx512) || (lists("avx512f") && lists("avx512vnni")));
    CHECK(!machine::has(Isa::amx) || lists("amx_tile"));
}
