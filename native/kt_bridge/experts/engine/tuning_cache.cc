#include "experts/engine/tuning_cache.h"

#include <map>
#include <mutex>

#include "base/json.h"

namespace ds4::ktb {
namespace {

std::mutex lock;

std::map<std::string, Tuning> &all() {
    static std::map<std::string, Tuning> tunings;
    return tunings;
}

std::string microseconds(int64_t nanoseconds) { return std::to_string((nanoseconds + 500) / 1000); }

} // namespace

const Tuning *find_tuning(const std::string &key) {
    const std::lock_guard<std::mutex> guard(lock);
    const auto found = all().find(key);
    return found == all().end() ? nullptr : &found->second;
}

const Tuning *keep_tuning(const std::string &key, Tuning tuning) {
    const std::lock_guard<std::mutex> guard(lock);
    return &all().emplace(key, std::move(tuning)).first->second;
}

std::string described(const Tuning &tuning) {
    constexpr int kFirstTokens[kTrialCounts] = {1, 2, 8, 32};
    std::string out = "\"fused_tokens\":" + std::to_string(tuning.fused_tokens) +
                      ",\"tile_tokens\":" + std::to_string(tuning.tile_tokens) + ",\"kernels\":[";
    for (int i = 0; i < kTrialCounts; i++)
        if (i == 0 || tuning.kernels[i] != tuning.kernels[i - 1])
            out += (i == 0 ? "{\"from_tokens\":" : ",{\"from_tokens\":") +
                   std::to_string(kFirstTokens[i]) +
                   ",\"isa\":" + json_quoted(tuning.kernels[i]->isa) + "}";
    out += "],\"trials\":[";
    for (size_t i = 0; i < tuning.trials.size(); i++) {
        const Trial &trial = tuning.trials[i];
        out += (i == 0 ? "{\"tokens\":" : ",{\"tokens\":") + std::to_string(trial.tokens) +
               ",\"isa\":" + json_quoted(trial.kernels->isa) +
               ",\"form\":" + json_quoted(form_name(trial.form)) +
               ",\"us\":" + microseconds(trial.nanoseconds) + "}";
    }
    out += "],\"excluded\":[";
    for (size_t i = 0; i < tuning.excluded.size(); i++)
        out += (i == 0 ? "{\"isa\":" : ",{\"isa\":") + json_quoted(tuning.excluded[i].isa) +
               ",\"reason\":" + json_quoted(tuning.excluded[i].reason) + "}";
    return out + "],\"us\":" + microseconds(tuning.nanoseconds);
}

} // namespace ds4::ktb
