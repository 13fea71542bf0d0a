// Measurements of the ways that an engine chooses among, once per process for each kind of layer.
#include <algorithm>
#include <chrono>

#include "experts/engine/calibration_job.h"
#include "experts/engine/expert_engine.h"
#include "experts/engine/tuning_cache.h"
#include "pool/expert_error.h"
#include "machine/instruction_sets.h"

namespace ds4::ktb {
namespace {

int64_t now() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

// Everything that a measurement depends on. Empty for a layer whose weights another load has taken
// away.
std::string key_of(ExpertLayer &layer, const ExpertEngineOptions &options, const WorkerPool &pool) {
    const std::lock_guard<std::mutex> lock(layer.weights_lock);
    std::string key;
    if (!layer.weights) return key;
    for (int number :
         {int(layer.methods.gate_up), int(layer.methods.down), int(options.numerics),
          layer.shape.hidden, layer.shape.intermediate,
          std::min(layer.shape.experts_per_token, layer.weights->slots()), int(options.isa),
          int(options.isa_selection), options.fused_tokens, layer.weights->scales_fold() ? 1 : 0,
          pool.workers(), pool.parts(), pool.external() ? 1 : 0})
        key += std::to_string(number) + " ";
    return key;
}

} // namespace

// Tables of the other instruction sets, as far as they have tables of their own.
std::vector<const Kernels *> ExpertEngine::other_tables(const LayerMethods &methods) const {
    std::vector<const Kernels *> out;
    if (options_.isa_selection == IsaSelection::named) return out;
    const Kernels *usual =
        kernels_for(methods.gate_up, methods.down, options_.isa, options_.numerics);
    for (Isa isa : {Isa::avx512, Isa::avx2})
        if (const Kernels *table =
                kernels_for(methods.gate_up, methods.down, isa, options_.numerics);
            machine::has(isa) && table != usual)
            out.push_back(table);
    return out;
}

Candidates ExpertEngine::candidates_for(const LayerMethods &methods) const {
    Candidates candidates;
    candidates.tables.push_back(
        kernels_for(methods.gate_up, methods.down, options_.isa, options_.numerics));
    candidates.same_bits = have_same_bits(methods.gate_up, methods.down, options_.numerics);
    candidates.same_groups =
        candidates.same_bits &&
        options_.numerics == Numerics::f32; // AVX-512 keeps int8 activations with an offset
    if (candidates.same_bits || options_.isa_selection == IsaSelection::fastest)
        for (const Kernels *table : other_tables(methods)) candidates.tables.push_back(table);
    candidates.tiles =
        options_.isa_selection == IsaSelection::fastest && tiles_of(methods) != nullptr;
    candidates.fixed_form = options_.fused_tokens >= 0;
    candidates.fused_tokens = candidates.fixed_form ? options_.fused_tokens : kFusedTokens;
    return candidates;
}

Tuning ExpertEngine::measure(ExpertLayer &layer, const Candidates &candidates) {
    Tuning tuning;
    CalibrationJob::Settings settings;
    settings.candidates = candidates;
    if (candidates.tables.size() == 1) settings.fallbacks = other_tables(layer.methods);
    settings.plain =
        kernels_for(layer.methods.gate_up, layer.methods.down, Isa::generic, options_.numerics);
    settings.tiles = tiles_of(layer.methods);
    settings.fp8_reference = options_.numerics == Numerics::fp8ref;
    settings.clock = now;
    KernelChoice trial = choose_kernels(layer.methods);
    trial.is_trial = true;
    queue_->run_blocking([&] {
        return std::make_unique<CalibrationJob>(resources(trial), layer, std::move(settings),
                                                tuning);
    });
    return tuning;
}

void ExpertEngine::tune(const std::vector<ExpertLayer *> &layers) {
    for (ExpertLayer *layer : layers) {
        const std::string key = key_of(*layer, options_, pool());
        if (key.empty()) continue;
        const Tuning *tuning = find_tuning(key);
        try {
            if (tuning == nullptr)
                tuning = keep_tuning(key, measure(*layer, candidates_for(layer->methods)));
        } catch (const ExpertError &) {
            // The layer works without. Memory for the trials is short, or another load took its
            // weights away.
            return;
        }
        layer->tuning.store(tuning, std::memory_order_release);
    }
}

} // namespace ds4::ktb
