// Choices that follow from measurements, with times that are made up.
#include <functional>

#include "base/test.h"
#include "kernels/calibration.h"

using namespace ds4::ktb;

namespace {

using Cost = std::function<double(const Trial &)>; // milliseconds

struct Outcome {
    Tuning tuning;
    double spent = 0; // milliseconds
    int runs = 0;
};

Outcome measured(const Candidates &candidates, const Cost &cost) {
    Calibration calibration(candidates);
    Outcome outcome;
    for (Trial trial; calibration.next(trial); outcome.runs++) {
        const double milliseconds = cost(trial);
        outcome.spent += milliseconds;
        calibration.record(int64_t(milliseconds * 1e6));
    }
    outcome.tuning = calibration.result();
    return outcome;
}

Candidates two_tables(bool same_bits) {
    Candidates candidates;
    candidates.tables = {&kAvx512Int8, &kAvx2Int8};
    candidates.same_bits = same_bits;
    candidates.fused_tokens = 16;
    return candidates;
}

double plain_cost(const Trial &trial) {
    return 0.1 + 0.02 * trial.tokens +
           (trial.form == Form::grouped && trial.tokens <= 16 ? 0.3 : 0);
}

} // namespace

TEST("with equal times what runs without a measurement stays, in every round and within the "
     "budget") {
    const Outcome outcome = measured(two_tables(true), plain_cost);
    for (const Kernels *kernels : outcome.tuning.kernels) CHECK(kernels == &kAvx512Int8);
    CHECK(outcome.tuning.fused_tokens == 16 && outcome.tuning.tile_tokens == 0);
    CHECK(outcome.tuning.trials.size() == 3 + 3 + 3 + 2);
    CHECK(outcome.spent <= 50);
}

TEST("a table with the same bits is taken for the token counts at which it is faster, and no "
     "other") {
    const Outcome outcome = measured(two_tables(true), [](const Trial &trial) {
        return plain_cost(trial) *
               (trial.kernels == &kAvx2Int8 ? (trial.tokens <= 4 ? 0.9 : 1.2) : 1.0);
    });
    CHECK(outcome.tuning.kernels[0] == &kAvx2Int8 && outcome.tuning.kernels[1] == &kAvx2Int8);
    CHECK(outcome.tuning.kernels[2] == &kAvx512Int8 && outcome.tuning.kernels[3] == &kAvx512Int8);
    const Outcome close = measured(two_tables(true), [](const Trial &trial) {
        return plain_cost(trial) * (trial.kernels == &kAvx2Int8 ? 0.97 : 1.0);
    });
    for (const Kernels *kernels : close.tuning.kernels) CHECK(kernels == &kAvx512Int8);
}

TEST("a table with other bits is taken for all counts or none, and only by a wide margin") {
    const auto factor = [](double few, double many) {
        return [=](const Trial &trial) {
            return plain_cost(trial) *
                   (trial.kernels == &kAvx2Int8 ? (trial.tokens <= 4 ? few : many) : 1.0);
        };
    };
    for (const Kernels *kernels : measured(two_tables(false), factor(0.7, 0.7)).tuning.kernels)
        CHECK(kernels == &kAvx2Int8);
    for (const Kernels *kernels : measured(two_tables(false), factor(0.7, 0.95)).tuning.kernels)
        CHECK(kernels == &kAvx512Int8);
    for (const Kernels *kernels : measured(two_tables(false), factor(0.85, 0.85)).tuning.kernels)
        CHECK(kernels == &kAvx512Int8);
}

TEST("a table that prepares activations otherwise is taken for all counts or none, by the usual "
     "margin") {
    Candidates candidates = two_tables(true);
    candidates.same_groups = false;
    const auto factor = [](double few, double many) {
        return [=](const Trial &trial) {
            return plain_cost(trial) *
                   (trial.kernels == &kAvx2Int8 ? (trial.tokens <= 4 ? few : many) : 1.0);
        };
    };
    for (const Kernels *kernels : measured(candidates, factor(0.85, 0.9)).tuning.kernels)
        CHECK(kernels == &kAvx2Int8);
    for (const Kernels *kernels : measured(candidates, factor(0.7, 1.0)).tuning.kernels)
        CHECK(kernels == &kAvx512Int8);
    // far behind with many tokens, where it is given up after two runs
    for (const Kernels *kernels : measured(candidates, factor(0.7, 8.0)).tuning.kernels)
        CHECK(kernels == &kAvx512Int8);
}

TEST("passes are fused up to the count from which the grouped form is faster") {
    const auto faster_from = [](int tokens) {
        return [=](const Trial &trial) {
            return plain_cost(trial) *
                   (trial.form == Form::grouped && trial.tokens >= tokens ? 0.2 : 1.0);
        };
    };
    CHECK(measured(two_tables(true), faster_from(1)).tuning.fused_tokens == 0);
    CHECK(measured(two_tables(true), faster_from(4)).tuning.fused_tokens == 2);
    CHECK(measured(two_tables(true), faster_from(16)).tuning.fused_tokens == 10);
    Candidates fixed = two_tables(true);
    fixed.fixed_form = true;
    fixed.fused_tokens = 4;
    const Outcome outcome = measured(fixed, faster_from(1));
    CHECK(outcome.tuning.fused_tokens == 4 && outcome.tuning.trials.size() == 2 + 2 + 2 + 2);
}

TEST("the tile unit is taken from the count on at which it wins by a wide margin, and at none "
     "below one where it loses") {
    Candidates candidates = two_tables(true);
    candidates.tiles = true;
    const auto with = [](double few, double many) {
        return [=](const Trial &trial) {
            return plain_cost(trial) * (trial.form != Form::tiles ? 1.0
                                        : trial.tokens == 16      ? few
                                                                  : many);
        };
    };
    CHECK(measured(candidates, with(0.5, 0.3)).tuning.tile_tokens == 16);
    CHECK(measured(candidates, with(0.9, 0.3)).tuning.tile_tokens == 64);
    CHECK(measured(candidates, with(0.9, 0.9)).tuning.tile_tokens == 0);
    CHECK(measured(candidates, with(0.5, 0.9)).tuning.tile_tokens == 0);
    candidates.tiles = false;
    CHECK(measured(candidates, with(0.5, 0.3)).tuning.tile_tokens == 0);
}

TEST("a table far behind is not run again, nor with more tokens") {
    const Outcome outcome = measured(two_tables(true), [](const Trial &trial) {
        return plain_cost(trial) * (trial.kernels == &kAvx2Int8 && trial.tokens >= 16 ? 8 : 1);
    });
    for (const Trial &trial : outcome.tuning.trials) {
        if (trial.kernels == &kAvx2Int8)
            CHECK(trial.tokens <= 16 && trial.runs <= (trial.tokens == 16 ? 2 : 4));
        else
            CHECK(trial.runs >= 2);
    }
}

TEST("trials end with the budget, and what has run too seldom changes nothing") {
    int run = 0;
    const auto busy = [&](const Trial &trial) {
        return run++ % 3 == 0 ? 20.0
                              : plain_cost(trial) * (trial.kernels == &kAvx2Int8 ? 0.5 : 1.0);
    };
    const Outcome outcome = measured(two_tables(true), busy);
    CHECK(outcome.spent <= 50 + 20 && outcome.runs < 20);
    CHECK(outcome.tuning.kernels[3] != nullptr && outcome.tuning.fused_tokens == 16);
    const Outcome slow = measured(two_tables(true), [](const Trial &) { return 60.0; });
    CHECK(slow.runs == 1 && slow.tuning.kernels[0] == &kAvx512Int8 &&
          slow.tuning.fused_tokens == 16);
}
