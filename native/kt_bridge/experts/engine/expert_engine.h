// Layers of routed experts on one set of workers, with the workspace of their forwards.
#pragma once
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "experts/engine/expert_engine_options.h"
#include "experts/engine/job_queue.h"
#include "experts/forward/forward_job.h"
#include "experts/forward/workspace.h"
#include "experts/loading/load_job.h"
#include "experts/weights/expert_layer.h"

namespace ds4::ktb {

class ExpertEngine {
  public:
    // Throws KTB_ERR_ARGUMENT for impossible options, and KTB_ERR_STATE when the tile unit that
    // they ask for fails its check.
    explicit ExpertEngine(const ExpertEngineOptions &options);

    std::unique_ptr<ExpertLayer> create_layer(int index, const LayerMethods &methods,
                                              const ExpertLayerShape &shape, int io_type,
                                              float limit);
    // A layer over the weights of another one, of this or another engine. Throws unless that is
    // loaded, no move is at work on it, and both engines split the width over their parts alike.
    // Measures as a load does.
    std::unique_ptr<ExpertLayer> share_layer(ExpertLayer &source);
    // Empties the layer's place in the list; throws while it has jobs.
    void remove_layer(ExpertLayer *layer);
    int live_layers() const;

    // Tickets: see JobQueue.
    int wait(uint64_t ticket, int timeout_ms) { return queue_->wait(ticket, timeout_ms); }
    void work(int index, uint64_t ticket) { queue_->work(index, ticket); }
    // Submits and waits; throws when a tensor is wrong, memory is short or reading fails.
    void load(std::vector<LoadJob::Item> items, bool serial);
    // Moves are described in MoveJob. The form without a ticket submits and waits.
    uint64_t submit_move(ExpertLayer &layer, int leaving,
                         std::shared_ptr<const ExpertSource> source);
    void move(ExpertLayer &layer, int leaving, std::shared_ptr<const ExpertSource> source);
    uint64_t submit_forward(const ForwardRequest &request);
    void forward(const ForwardRequest &request); // submits and waits

    std::string describe() const; // JSON
    const LoadProgress &progress() const { return progress_; }

  private:
    struct LayerFacts;
    WorkerPool &pool() const { return queue_->pool(); }
    std::unique_ptr<PoolJob> forward_job(const ForwardRequest &request);
    ForwardJob::Resources resources(const KernelChoice &kernels);
    KernelChoice choose_kernels(const LayerMethods &methods) const;
    const TileKernels *tiles_of(const LayerMethods &methods) const;
    bool measures() const { return options_.calibrate && options_.isa != Isa::generic; }
    // After a load, while `layers` cannot go. Each gets the tuning of its kind, which is measured
    // when there is none.
    void tune(const std::vector<ExpertLayer *> &layers);
    Tuning measure(ExpertLayer &layer, const Candidates &candidates);
    Candidates candidates_for(const LayerMethods &methods) const;
    std::vector<const Kernels *> other_tables(const LayerMethods &methods) const;
    LayerFacts layer_facts() const;
    std::string parts_json(const LayerFacts &facts) const;

    ExpertEngineOptions options_;
    mutable std::mutex lock_; // of layers_
    std::vector<ExpertLayer *> layers_;
    LoadProgress progress_;
    Workspace workspace_;
    ForwardTimes times_;
    std::optional<JobQueue> queue_; // last: its threads use everything above
};

} // namespace ds4::ktb
