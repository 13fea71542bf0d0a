// Chooses the fastest of several ways to run a pass: it says what to measure in which order, and
// what follows. It knows no clock; the caller runs a trial and records its time. A way with too few
// runs for a busy machine changes nothing, and the usual way stays.
//
// Ways that give the same bits (kernels.h) and prepare activations alike may be chosen by token
// count. Among those that prepare them differently, one serves every count. Ways that give other
// bits (another table, the tile unit) are candidates only when the caller asks. Then one table
// serves every count, and it must win by a wide margin. Other load on the machine shall not change
// the output of a model.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace ds4::ktb {

constexpr int kTrialTokens[] = {1, 4, 16, 64}; // tokens of an expert
constexpr int kTrialCounts = 4;
// Index of the trial whose result serves an expert with `tokens` tokens.
inline int trial_index(int tokens) { return tokens < 2 ? 0 : tokens < 8 ? 1 : tokens < 32 ? 2 : 3; }

enum class Form {
    fused,
    grouped,
    tiles, // grouped, with experts on the tile unit (tile_kernels.h)
};
const char *form_name(Form form);

struct Trial {
    int tokens = 0;
    const Kernels *kernels = nullptr;
    Form form = Form::fused;
    int64_t nanoseconds = 0; // of its fastest run
    int runs = 0;
};

struct Excluded {
    std::string isa, reason;
};

// The choices for a layer that follow from the measurements.
struct Tuning {
    const Kernels *kernels[kTrialCounts] = {}; // by trial_index
    int fused_tokens = 0;      // tokens of the busiest expert up to which a pass is fused
    int tile_tokens = 0;       // tokens of an expert from which it goes to the tile unit; 0: never
    std::vector<Trial> trials; // in order
    std::vector<Excluded> excluded; // tables that failed their check
    int64_t nanoseconds = 0;        // duration of the whole calibration
};

struct Candidates {
    // At least one; the first is what runs without a measurement.
    std::vector<const Kernels *> tables;
    bool same_bits = true;   // all tables give the same bits
    bool same_groups = true; // they prepare activations alike: one pass may use several
    bool tiles = false;
    int fused_tokens = 0; // fixed, or what holds without a measurement
    bool fixed_form = false;
    int64_t budget = 50'000'000; // nanoseconds for all trials together
};

class Calibration {
  public:
    explicit Calibration(Candidates candidates);
    // Gives the next run; false when nothing is left to measure or to spend.
    bool next(Trial &trial);
    // Records the time of the run that `next` gave last.
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
