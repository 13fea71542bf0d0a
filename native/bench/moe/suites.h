// The measurements, one suite each. They share the machine's rates and the report.
#pragma once
#include <vector>

#include "moe/expert_layers.h"
#include "moe/peaks.h"
#include "moe/read_rate.h"
#include "moe/report.h"
#include "moe/roofline.h"

namespace ds4::bench {

// State that all suites share.
struct Bench {
    const Settings &settings;
    Report &report;
    ReadMemory &memory;
    const SourceExperts &source;
    double stream = 0; // bytes a second of long reads by all threads
    std::vector<Peak> peaks;

    // Rate of all threads together; 0 when it was not measured.
    double peak(const std::string &name) const;
};

void measure_rates(Bench &bench); // the stream and the peaks
void measure_decode(Bench &bench, ExpertLayers &layers, const Kind &kind);
void measure_prefill(Bench &bench, ExpertLayers &layers, const Kind &kind);
void measure_scaling(Bench &bench, const Kind &kind);
void measure_methods(Bench &bench, const Kind &kind);
void measure_calibration(Bench &bench); // the library's own measurements of a load
void measure_loading(Bench &bench);
void measure_peer(Bench &bench);

// The part of the loading suite that runs in a process of its own. Loads the checkpoint in `folder`
// and prints its peak memory.
int load_and_report_memory(const char *folder, const Settings &settings);

} // namespace ds4::bench
