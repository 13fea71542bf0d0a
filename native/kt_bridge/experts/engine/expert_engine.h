// Workers, a queue of jobs that run in order, and the workspace of forwards.
#pragma once
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "experts/forward/forward_job.h"
#include "pool/pool_job.h"
#include "experts/weights/expert_layer.h"
#include "experts/loading/load_job.h"
#include "experts/forward/workspace.h"
#include "pool/worker_pool.h"
#include "machine/instruction_sets.h"

namespace ds4::ktb {

// How the instruction set was asked for: by name, the best of this CPU, or whatever is fastest even
// if its bits differ.
enum class IsaSelection { named, automatic, fastest };

struct ExpertEngineOptions {
    PoolOptions pool;
    Isa isa = machine::best_isa();
    IsaSelection isa_selection = IsaSelection::automatic;
    bool calibrate = true;
    Numerics numerics = Numerics::int8;
    HugePages huge = HugePages::automatic;
    int max_tokens = 8192; // of one internal pass
    int fused_tokens =
        -1; // of the busiest expert up to which a pass is fused; -1: measured, or kFusedTokens
    int tile_tokens =
        kBlockTokens; // of an expert from which its tokens go to the tile kernels; 0: never

    static ExpertEngineOptions from_json(const char *text);
};

class ExpertEngine {
  public:
    explicit ExpertEngine(const ExpertEngineOptions &options);
    // Of external workers: their threads must have left before. Waits for those whose work is done.
    ~ExpertEngine();

    std::unique_ptr<ExpertLayer> create_layer(int index, const LayerMethods &methods,
                                              const ExpertLayerShape &shape, int io_type,
                                              float limit);
    // A layer over the weights of another one, of this or another engine; throws unless that is
    // loaded, no move is at work on it, and both engines split the width over their parts alike.
    // Measures as a load does.
    std::unique_ptr<ExpertLayer> share_layer(ExpertLayer &source);
    // Empties the layer's place in the list; throws while it has jobs.
    void remove_layer(ExpertLayer *layer);
    int live_layers() const;

    // Queues a job; returns its ticket. Its layers must not go before it counts as pending (see
    // PoolJob).
    uint64_t submit(std::unique_ptr<PoolJob> job);
    // External workers: runs the work of `ticket` as worker `index`; throws the error of a failed
    // job.
    void work(int index, uint64_t ticket);
    // 0 done, 1 timeout; throws the error of a failed job. timeout_ms < 0: no limit.
    int wait(uint64_t ticket, int timeout_ms);
    // Submits and waits; throws when a tensor is wrong, memory is short or reading fails.
    void load(std::vector<LoadJob::Item> items, bool serial);
    // See MoveJob.
    uint64_t submit_move(ExpertLayer &layer, int leaving,
                         std::shared_ptr<const ExpertSource> source);
    void move(ExpertLayer &layer, int leaving,
              std::shared_ptr<const ExpertSource> source); // submits and waits
    uint64_t submit_forward(const ForwardRequest &request);
    void forward(const ForwardRequest &request); // submits and waits

    std::string describe() const; // JSON
    const LoadProgress &progress() const { return progress_; }
    const ExpertEngineOptions &options() const { return options_; }
    const WorkerPool &pool() const { return *pool_; }

  private:
    class HeldPlaces;
    class BlockingCall;
    void run_blocking(const std::function<std::unique_ptr<PoolJob>()> &make);
    KernelChoice choose_kernels(const LayerMethods &methods) const;
    const TileKernels *tiles_of(const LayerMethods &methods) const;
    bool measures() const { return options_.calibrate && options_.isa != Isa::generic; }
    // After a load, while `layers` cannot go: gives each what was measured for its like, measuring
    // what is new.
    void tune(const std::vector<ExpertLayer *> &layers);
    Tuning measure(ExpertLayer &layer, const Candidates &candidates);
    Candidates candidates_for(const LayerMethods &methods) const;
    std::vector<const Kernels *> other_tables(const LayerMethods &methods) const;
    void advance();
    bool start_next(PoolJob &job);
    bool complete(int code, const std::string &text);
    void check_failed(uint64_t ticket) const;
    void check_given(uint64_t ticket) const;
    void run_steps(int index, uint64_t ticket);

    struct Failure {
        uint64_t ticket;
        int code;
        std::string text;
    };
    ExpertEngineOptions options_;
    mutable std::mutex lock_;
    std::mutex blocking_; // external workers: one blocking call at a time
    std::deque<std::unique_ptr<PoolJob>> queue_;
    bool running_ = false;
    uint64_t last_ticket_ = 0;
    std::atomic<uint64_t> completed_{0};
    std::deque<Failure> failures_; // the newest ones
    std::vector<ExpertLayer *> layers_;
    LoadProgress progress_;
    Workspace workspace_;
    ForwardTimes times_;
    Signal done_;
    std::unique_ptr<WorkerPool> pool_; // last: its threads use everything above
};

} // namespace ds4::ktb
