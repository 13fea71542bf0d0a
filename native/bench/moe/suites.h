// The measurements, one suite each: they share the machine's rates and the report.
#pragma once
#include <vector>

#include "moe/expert_layers.h"
#include "moe/peaks.h"
#include "moe/read_rate.h"
#include "moe/report.h"
#include "moe/roofline.h"

namespace ds4::bench {

// What every suite needs.
struct Bench {
    const Settings &settings;
    Report &report;
    ReadMemory &memory;
    const SourceExperts &source;
    double stream = 0; // bytes a second of all threads, long reads
    std::vector<Peak> peaks;

    double peak(const std::string &name) const; // of all threads; 0 when it was not measured
};

void measure_rates(Bench &bench); // the stream and the peaks
void measure_decode(Bench &bench, ExpertLayers &layers, const Kind &kind);
void measure_prefill(Bench &bench, ExpertLayers &layers, const Kind &kind);
void measure_scaling(Bench &bench, const Kind &kind);
void measure_methods(Bench &bench, const Kind &kind);
void measure_calibration(Bench &bench); // what the library itself measures when a layer is loaded
void measure_loading(Bench &bench);
void measure_peer(Bench &bench);

// What the loading suite's own process does: loads the checkpoint in `folder` and prints its peak
// memory.
int load_and_report_memory(const char *folder, const Settings &settings);

} // namespace ds4::bench
