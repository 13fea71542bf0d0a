// Settings of the expert benchmark: its measurements and their sizes.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace ds4::bench {

// Sizes of one layer of routed experts in packed FP4.
struct Shape {
    int experts, experts_per_token, hidden, intermediate;

    // Codes and one-byte scales.
    double expert_bytes() const { return 3.0 * hidden * intermediate / 32 * 17; }
    // Operations of one token through one expert.
    double route_flop() const { return 6.0 * hidden * intermediate; }
};

struct Settings {
    Shape shape{0, 6, 4096, 2048}; // Flash; experts 0: chosen
    int layers = 0;                // 0: chosen
    int threads = 0;               // 0: all usable cores
    int parts = 1;
    double seconds = 0; // of each measurement; 0: chosen
    bool full = false;
    std::vector<std::string> suites; // empty: chosen
    std::string isa, numerics;       // the only ones measured; empty: all
    int per_expert = 512;            // most tokens an expert in the prefill suite
    std::string ggml;                // folder of the ggml libraries; empty: no peer
    std::string json;                // file, "-" for the standard output; empty: none
    std::string folder;              // for generated checkpoints; empty: the system's
    size_t load_mib = 0;             // size of a generated checkpoint; 0: chosen
    size_t read_mib = 0;             // memory that the reads pass over; 0: chosen

    bool wants(const std::string &suite) const;
    size_t layer_bytes() const { return size_t(shape.experts * shape.expert_bytes()); }
};

constexpr const char *kSuites[] = {"rates",   "decode",      "prefill", "scaling",
                                   "methods", "calibration", "loading", "peer"};

// Settings of a command line; choices that it leaves open are made for this machine. Throws
// std::invalid_argument with what is wrong.
Settings parse_settings(int argc, char **argv);

extern const char kUsage[];

} // namespace ds4::bench
