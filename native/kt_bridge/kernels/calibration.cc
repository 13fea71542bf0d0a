#include "kernels/calibration.h"

#include <algorithm>
#include <utility>

namespace ds4::ktb {
namespace {

constexpr double kMargin = 1.05; // between ways with the same bits: below it the usual one stays
constexpr double kWideMargin = 1.25; // where bits change
// A way this many times slower than the best of its count is not run again, nor with more tokens.
constexpr double kHopeless = 1.4;
constexpr int kSomeRuns = 2; // for that verdict: the first run may touch new memory or wake workers
constexpr int kEnoughRuns = 3; // for a comparison

// How many times faster `other` is. 0: one of the two has not run often enough.
double gain_over(const Trial *usual, const Trial *other) {
    if (usual == nullptr || other == nullptr || usual->runs < kEnoughRuns ||
        other->runs < kEnoughRuns)
        return 0;
    return double(usual->nanoseconds) / double(other->nanoseconds);
}

} // namespace

const char *form_name(Form form) {
    return form == Form::fused ? "fused" : form == Form::grouped ? "grouped" : "tiles";
}

Calibration::Calibration(Candidates candidates) : candidates_(std::move(candidates)) {}

Form Calibration::usual_form(int count) const {
    return kTrialTokens[count] <= candidates_.fused_tokens ? Form::fused : Form::grouped;
}

// Adds the trials of a count: every table in the usual form, the first one also in the other form,
// and the tile unit.
void Calibration::begin_count() {
    count_++, round_ = 0, at_ = first_ = trials_.size();
    const int tokens = kTrialTokens[count_];
    const Form usual = usual_form(count_);
    for (const Kernels *table : candidates_.tables) {
        const Trial *before =
            count_ == 0 ? nullptr : find(count_ - 1, table, usual_form(count_ - 1));
        if (before == nullptr || !is_hopeless(*before, count_ - 1))
            trials_.push_back({tokens, table, usual});
    }
    if (!candidates_.fixed_form && tokens <= candidates_.fused_tokens)
        trials_.push_back({tokens, candidates_.tables[0], Form::grouped});
    if (candidates_.tiles && tokens >= 16)
        trials_.push_back({tokens, candidates_.tables[0], Form::tiles});
}

const Trial *Calibration::find(int count, const Kernels *kernels, Form form) const {
    for (const Trial &trial : trials_)
        if (trial.tokens == kTrialTokens[count] && trial.kernels == kernels && trial.form == form &&
            trial.nanoseconds > 0)
            return &trial;
    return nullptr;
}

// The usual way is never hopeless, because the others are compared with it.
bool Calibration::is_hopeless(const Trial &trial, int count) const {
    if (trial.runs < kSomeRuns ||
        (trial.kernels == candidates_.tables[0] && trial.form == usual_form(count)))
        return false;
    int64_t best = INT64_MAX;
    for (const Trial &other : trials_)
        if (other.tokens == kTrialTokens[count] && other.runs >= kSomeRuns)
            best = std::min(best, other.nanoseconds);
    return double(trial.nanoseconds) > kHopeless * double(best);
}

// Expected nanoseconds of a run: as before, or in proportion to the tokens of the table's last
// count.
int64_t Calibration::estimate(const Trial &trial) const {
    if (trial.nanoseconds > 0) return trial.nanoseconds;
    for (int count = count_ - 1; count >= 0; count--)
        if (const int64_t before = time_of(count, trial.kernels); before > 0)
            return before * trial.tokens / kTrialTokens[count];
    return 0;
}

bool Calibration::next(Trial &trial) {
    while (true) {
        if (count_ < 0 || (at_ == trials_.size() && round_ + 1 == kRounds)) {
            if (count_ + 1 == kTrialCounts) return false;
            begin_count();
        }
        if (at_ == trials_.size()) round_++, at_ = first_;
        running_ = at_++;
        const Trial &next = trials_[running_];
        if ((round_ > 0 && next.nanoseconds == 0) || is_hopeless(next, count_) ||
            spent_ + estimate(next) > candidates_.budget)
            continue;
        trial = next;
        return true;
    }
}

void Calibration::record(int64_t nanoseconds) {
    Trial &trial = trials_[running_];
    nanoseconds = std::max<int64_t>(nanoseconds, 1);
    trial.nanoseconds =
        trial.nanoseconds == 0 ? nanoseconds : std::min(trial.nanoseconds, nanoseconds);
    trial.runs++;
    spent_ += nanoseconds;
}

// Nanoseconds; 0: not measured.
int64_t Calibration::time_of(int count, const Kernels *kernels) const {
    const Trial *trial = find(count, kernels, usual_form(count));
    return trial == nullptr ? 0 : trial->nanoseconds;
}

double Calibration::gain(int count, const Kernels *kernels) const {
    return gain_over(find(count, candidates_.tables[0], usual_form(count)),
                     find(count, kernels, usual_form(count)));
}

// A count without a measurement follows the one before.
void Calibration::choose_by_count(Tuning &tuning) const {
    const Kernels *chosen = candidates_.tables[0];
    for (int count = 0; count < kTrialCounts; count++) {
        double most = kMargin;
        if (time_of(count, candidates_.tables[0]) > 0) chosen = candidates_.tables[0];
        for (const Kernels *table : candidates_.tables)
            if (const double faster = gain(count, table); faster >= most)
                chosen = table, most = faster;
        tuning.kernels[count] = chosen;
    }
}

// Another table must win by the margin at every count at which the usual one was measured. The
// margin is wide where bits change. A table does not win where it was given up as hopeless, or has
// run too seldom.
void Calibration::choose_one(Tuning &tuning) const {
    const Kernels *chosen = candidates_.tables[0];
    double most = candidates_.same_bits ? kMargin : kWideMargin;
    for (const Kernels *table : candidates_.tables) {
        double least = 0;
        for (int count = 0; count < kTrialCounts; count++) {
            const Trial *usual = find(count, candidates_.tables[0], usual_form(count));
            if (usual == nullptr || usual->runs < kEnoughRuns) continue;
            const double faster = gain(count, table);
            least = least == 0 ? faster : std::min(least, faster);
            if (faster == 0) break;
        }
        if (least >= most) chosen = table, most = least;
    }
    for (const Kernels *&kernels : tuning.kernels) kernels = chosen;
}

// Passes are fused below the first count at which the grouped form is faster.
void Calibration::choose_forms(Tuning &tuning) const {
    tuning.fused_tokens = candidates_.fused_tokens;
    for (int count = 0; count < kTrialCounts && !candidates_.fixed_form; count++) {
        const Trial *fused = find(count, candidates_.tables[0], Form::fused),
                    *grouped = find(count, candidates_.tables[0], Form::grouped);
        if (gain_over(fused, grouped) < kMargin) continue;
        const int before = count == 0 ? 0 : kTrialTokens[count - 1];
        // Nothing was measured between two counts: the middle divides them.
        tuning.fused_tokens = count == 0 ? 0 : (before + kTrialTokens[count]) / 2;
        return;
    }
}

void Calibration::choose_tiles(Tuning &tuning) const {
    if (!candidates_.tiles) return;
    for (int count = kTrialCounts - 1; count >= 0; count--) {
        const Trial *tiles = find(count, candidates_.tables[0], Form::tiles);
        if (tiles == nullptr) continue;
        if (gain_over(find(count, candidates_.tables[0], usual_form(count)), tiles) < kWideMargin)
            return;
        for (const Trial &other : trials_)
            if (other.tokens == tiles->tokens && other.runs > 0 &&
                other.nanoseconds < tiles->nanoseconds)
                return;
        tuning.tile_tokens = kTrialTokens[count];
    }
}

Tuning Calibration::result() const {
    Tuning tuning;
    if (candidates_.same_bits && candidates_.same_groups)
        choose_by_count(tuning);
    else
        choose_one(tuning);
    choose_forms(tuning);
    choose_tiles(tuning);
    for (const Trial &trial : trials_)
        if (trial.nanoseconds > 0) tuning.trials.push_back(trial);
    return tuning;
}

} // namespace ds4::ktb
