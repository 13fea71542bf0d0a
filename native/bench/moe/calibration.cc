// The library's own measurements when a layer is loaded, and its choices, from its description.
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
    std::vector<std::pair<int, std::string>> kernels; // (from tokens, instruction set)
    std::vector<std::pair<std::string, std::string>> excluded;
    int fused_tokens = 0, tile_tokens = 0;
    double microseconds = 0;
};

// Reads the first entry of "calibration" in an engine's description.
class DescriptionReader {
  public:
    explicit DescriptionReader(const std::string &description)
        : json_(description, "the engine's description") {}

    Calibration read() {
        std::string key;
        bool has_entry = false;
        json_.enter_object();
        while (json_.next_key(key)) {
            if (key == "calibration")
                read_each([&] { has_entry = true; }, [&](const std::string &name) { read(name); });
            else
                json_.skip();
        }
        if (!has_entry) throw std::runtime_error("there is nothing to choose among on this CPU");
        return found_;
    }

  private:
    // Calls `member` for every member of each object of a list, and `begin` ahead of each object.
    void read_each(const std::function<void()> &begin,
                   const std::function<void(const std::string &)> &member) {
        std::string key;
        json_.enter_array();
        while (json_.next_item()) {
            begin();
            json_.enter_object();
            while (json_.next_key(key)) member(key);
        }
    }
    void read(const std::string &name) {
        if (name == "fused_tokens")
            found_.fused_tokens = int(json_.integer());
        else if (name == "tile_tokens")
            found_.tile_tokens = int(json_.integer());
        else if (name == "us")
            found_.microseconds = double(json_.integer());
        else if (name == "trials")
            read_each([&] { found_.trials.emplace_back(); },
                      [&](const std::string &field) { read_trial(found_.trials.back(), field); });
        else if (name == "kernels")
            read_each([&] { found_.kernels.emplace_back(); },
                      [&](const std::string &field) {
                          if (field == "isa")
                              found_.kernels.back().second = json_.string();
                          else
                              found_.kernels.back().first = int(json_.integer());
                      });
        else if (name == "excluded")
            read_each([&] { found_.excluded.emplace_back(); },
                      [&](const std::string &field) {
                          auto &[isa, reason] = found_.excluded.back();
                          (field == "isa" ? isa : reason) = json_.string();
                      });
        else
            json_.skip();
    }
    void read_trial(Trial &trial, const std::string &field) {
        if (field == "tokens")
            trial.tokens = int(json_.integer());
        else if (field == "us")
            trial.microseconds = double(json_.integer());
        else
            (field == "isa" ? trial.isa : trial.form) = json_.string();
    }

    ktb::JsonReader json_;
    Calibration found_;
};

// Whether an expert with the trial's tokens runs as the trial did.
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
    const std::string description = layers.describe();
    const Calibration made = DescriptionReader(description).read();
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
