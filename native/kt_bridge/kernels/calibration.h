// Which of several ways to run a pass is fastest here: what to measure, in which order, and what
// follows. It knows no clock: the caller runs a trial, and records how long it took. What has too
// few runs to say anything on a busy machine changes nothing: what would run without a measurement
// stays.
//
// Ways that give the same bits (kernels.h) and prepare activations alike may be chosen by the
// token, one for each range of token counts; of those that prepare them otherwise one serves every
// count. Ways that give other bits (another table, the tile unit) are only candidates when the
// caller asks for them; then one table serves every count, and each must win by a wide margin, so
// that neighbours on the machine do not change what a model says.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace ds4::ktb {

constexpr int kTrialTokens[] = {1, 4, 16, 64}; // of an expert
constexpr int kTrialCounts = 4;
// The trial whose result serves an expert of so many tokens.
inline int trial_index(int tokens) { return tokens < 2 ? 0 : tokens < 8 ? 1 : tokens < 32 ? 2 : 3; }

enum class Form {
    fused,
    grouped,
    tiles
}; // tiles: grouped, experts on the tile unit (tile_kernels.h)
const char *form_name(Form form);

struct Trial {
    int tokens = 0;
    const Kernels *kernels = nullptr;
    Form form = Form::fused;
    int64_t nanoseconds = 0; // the least of its runs
    int runs = 0;
};

struct Excluded {
    std::string isa, reason;
};

// What the measurements mean for a layer. fused_tokens: of the busiest expert up to which a pass is
// fused; tile_tokens: of an expert from which it goes to the tile unit, 0 never.
struct Tuning {
    const Kernels *kernels[kTrialCounts] = {}; // by trial_index
    int fused_tokens = 0, tile_tokens = 0;
    std::vector<Trial> trials;      // in order
    std::vector<Excluded> excluded; // tables that failed their check
    int64_t nanoseconds = 0;        // that all of it took
};

struct Candidates {
    std::vector<const Kernels *>
        tables;              // the first is what runs without a measurement; at least one
    bool same_bits = true;   // of all tables
    bool same_groups = true; // they prepare activations alike: one pass may use several
    bool tiles = false;
    int fused_tokens = 0; // without a measurement, or fixed
    bool fixed_form = false;
    int64_t budget = 50'000'000; // nanoseconds of all trials together
};

class Calibration {
  public:
    explicit Calibration(Candidates candidates);
    // The next run; false when nothing is left to measure or to spend.
    bool next(Trial &trial);
    // Of the run that next gave last.
    void record(int64_t nanoseconds);
    Tuning result() const;

  private:
    static constexpr int kRounds = 4;
    void begin_count();
    bool is_hopeless(const Trial &trial, int count) const;
    int64_t estimate(const Trial &trial) const;
    const Trial *find(int count, const Kernels *kernels, Form form) const;
    Form usual_form(int count) const;
    int64_t time_of(int count, const Kernels *kernels) const;
    double gain(int count, const Kernels *kernels) const;
    void choose_by_count(Tuning &tuning) const;
    void choose_one(Tuning &tuning) const;
    void choose_forms(Tuning &tuning) const;
    void choose_tiles(Tuning &tuning) const;

    Candidates candidates_;
    std::vector<Trial> trials_; // of all counts begun
    size_t first_ = 0;          // trial of the present count
    int count_ = -1, round_ = 0;
    size_t at_ = 0; // the next trial of the round
    size_t running_ = 0;
    int64_t spent_ = 0;
};

} // namespace ds4::ktb
