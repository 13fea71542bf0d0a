// What the library measures when a layer is loaded, and what it takes: its own figures, from its
// description.
#include <functional>
#include <stdexcept>

#include "experts/loading/json_reader.h"
#include "moe/suites.h"

namespace ds4::bench {
namespace {

struct Trial {
    int tokens = 0;
    double microseconds = 0;
    std::string isa, form;
};

struct Calibration {
    std::vector<Trial> trials;
    std::vector<std::pair<int, std::string>> kernels; // from so many tokens on
    std::vector<std::pair<std::string, std::string>> excluded;
    int fused_tokens = 0, tile_tokens = 0;
    double microseconds = 0;
};

// Every member of each object of an array.
template <class Member>
void each(ktb::JsonReader &json, const Member &member, const std::function<void()> &begin) {
    std::string key;
    json.enter_array();
    while (json.next_item()) {
        begin();
        json.enter_object();
        while (json.next_key(key)) member(key);
    }
}

Calibration first_of(const std::string &description) {
    Calibration found;
    ktb::JsonReader json(description, "the engine's description");
    std::string key;
    int entries = 0;
    json.enter_object();
    while (json.next_key(key)) {
        if (key != "calibration") {
            json.skip();
            continue;
        }
        each(
            json,
            [&](const std::string &name) {
                if (name == "fused_tokens")
                    found.fused_tokens = int(json.integer());
                else if (name == "tile_tokens")
                    found.tile_tokens = int(json.integer());
                else if (name == "us")
                    found.microseconds = double(json.integer());
                else if (name == "trials")
                    each(
                        json,
                        [&](const std::string &field) {
                            Trial &trial = found.trials.back();
                            if (field == "tokens")
                                trial.tokens = int(json.integer());
                            else if (field == "us")
                                trial.microseconds = double(json.integer());
                            else
                                (field == "isa" ? trial.isa : trial.form) = json.string();
                        },
                        [&] { found.trials.emplace_back(); });
                else if (name == "kernels")
                    each(
                        json,
                        [&](const std::string &field) {
                            if (field == "isa")
                                found.kernels.back().second = json.string();
                            else
                                found.kernels.back().first = int(json.integer());
                        },
                        [&] { found.kernels.emplace_back(); });
                else if (name == "excluded")
                    each(
                        json,
                        [&](const std::string &field) {
                            (field == "isa" ? found.excluded.back().first
                                            : found.excluded.back().second) = json.string();
                        },
                        [&] { found.excluded.emplace_back(); });
                else
                    json.skip();
            },
            [&] { entries++; });
    }
    if (entries == 0) throw std::runtime_error("there is nothing to choose among on this CPU");
    return found;
}

// Whether an expert of so many tokens runs so.
bool is_taken(const Calibration &made, const Trial &trial) {
    const char *form = made.tile_tokens > 0 && trial.tokens >= made.tile_tokens ? "tiles"
                       : trial.tokens <= made.fused_tokens                      ? "fused"
                                                                                : "grouped";
    std::string isa;
    for (const auto &[from, name] : made.kernels)
        if (trial.tokens >= from) isa = name;
    return trial.form == form && trial.isa == isa;
}

void report(Bench &bench, const Kind &kind) {
    ExpertLayers layers(kind, bench.settings.shape, 1, bench.settings.threads,
                        bench.settings.parts);
    layers.load(bench.source);
    const Calibration made = first_of(layers.describe());
    for (const Trial &trial : made.trials)
        bench.report.row("calibration", {{"asked", kind.isa},
                                         {"numerics", kind.numerics},
                                         {"tokens", trial.tokens},
                                         {"isa", trial.isa},
                                         {"form", trial.form},
                                         {"us", trial.microseconds},
                                         {"taken", is_taken(made, trial) ? "yes" : "no"},
                                         {"all_us", made.microseconds}});
    for (const auto &[isa, reason] : made.excluded)
        bench.report.skip("calibration", kind.name() + ", " + isa + ": " + reason);
}

} // namespace

void measure_calibration(Bench &bench) {
    for (const char *isa : {"auto", "fastest"})
        for (const char *numerics : {"int8", "bf16"}) report(bench, {isa, numerics});
}

} // namespace ds4::bench
