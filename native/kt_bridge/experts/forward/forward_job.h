// A forward: splits its tokens into passes and runs each on all workers.
//
// Fused form, when no expert has more than 16 tokens. A worker takes a contiguous range of (expert,
// chunk) units, which hold equal work, from input to route sums without a barrier in between. Up to
// three tokens of an expert go slice by slice, so that weights are read front to back. More tokens
// take all chunks of the range up to the activation, and then go row tile by row tile.
//
// Grouped form. Gate and up come first, for all routes; workers claim runs of units, largest expert
// first. Then come the down products of all routes and their sums, strip by strip of output
// columns.
//
// Sums. Every chunk of a route is one chain of products from zero, and chunks are added as
// sum_tree.h says. A token is y = sum of weight * route from zero, in ascending order of the
// expert, and of the slot for a repeated expert. No step depends on threads, parts, or the other
// tokens of the call. Experts with enough tokens for the tile kernels (tile_kernels.h, instruction
// set amx) are the exception. Their routes depend on parts, and on the number of their expert's
// tokens in the pass.
#pragma once
#include <atomic>

#include "pool/pool_job.h"
#include "experts/forward/forward_plan.h"
#include "experts/forward/workspace.h"

namespace ds4::ktb {

class SumStack;

struct ForwardTimes { // microseconds of the last pass, on the first worker
    std::atomic<uint32_t> prepare{0}, experts{0}, reduce{0};
};

class ForwardJob : public PoolJob {
  public:
    struct Resources {
        WorkerPool &pool;
        Workspace &workspace;
        ForwardTimes &times;
        HugePages huge;
        KernelChoice kernels;
        int max_tokens;
    };
    ForwardJob(const Resources &resources, const ForwardRequest &request);
    bool next(WorkerPool::Step &step) override;
    void queued() noexcept override { request_.layer->pending.fetch_add(1); }
    void finish(int code) override;

  private:
    struct NextTiles { // tiles that are read after the present ones
        const uint8_t *tiles;
        size_t stride; // bytes
    };
    struct DownTiles {              // tiles of one row tile
        const uint8_t *tile;        // in the part's first slice
        const uint8_t *next;        // of the row tile that is read after this one
        int slice_begin, slice_end; // slices of the part that are read
        const uint8_t *const *rows; // [count] prepared activations of the part
        int count;                  // 1..kDownTokens
    };
    void work(const Worker &worker);
    void prepare_inputs(const Worker &worker);
    void prepare_blocks(const Worker &worker);
    void activate(float *sums, int panel, int count, float *intermediate, size_t stride) const;
    void panel_intermediate(const Worker &worker, const uint8_t *record, const NextTiles &next,
                            const uint8_t *const *rows, int count, float *intermediate,
                            size_t stride) const;
    const uint8_t *down_tile(int part, const ActiveExpert &active, int tile) const;
    size_t intermediate_row_bytes(int part) const;
    void store_node(const Worker &worker, const DownTiles &down, const SumNode &node, float *out,
                    size_t stride) const;
    const float *node_panel(const Worker &worker, const DownTiles &down, const SumNode &node) const;
    void add_route(int route, const float *sum, float *token_sum, int count) const;
    void store(int token, int begin, int end, const float *sums) const;

    void fused(const Worker &worker);
    bool takes_in_order(const ActiveExpert &active) const;
    void in_order_node(const Worker &worker, const ActiveExpert &active,
                       const PartialSum &partial) const;
    void in_order_chunk(const Worker &worker, const ActiveExpert &active, int chunk,
                        float *target) const;
    void run_of_chunks(const Worker &worker, const ActiveExpert &active, const Range &chunks) const;
    void run_to_intermediate(const Worker &worker, const ActiveExpert &active,
                             const Range &slices) const;
    void fused_sums(const Worker &worker) const;
    const float *fused_route(int route, int column, SumStack &stack) const;

    Range claim(std::atomic<int> &next, int expert_units, int workers) const;
    void inputs_to_intermediate(const Worker &worker);
    void slice_unit(const Worker &worker, const ActiveExpert &active, int slice,
                    const uint8_t *next) const;
    void block_panels(const Worker &worker, const ActiveExpert &active, int slice,
                      int slice_count) const;
    void round_intermediate(const Worker &worker);
    void prepare_intermediate(int part, const ActiveExpert &active, int route,
                              const float *intermediate, int first_group, int groups) const;
    void intermediate_to_strip(const Worker &worker, int strip);
    void block_strip_units(const Worker &worker, const ActiveExpert &active, int strip, int tile,
                           int tiles) const;
    void strip_unit(const Worker &worker, const ActiveExpert &active, int strip, int tile,
                    const uint8_t *next) const;
    void strip_sums(const Worker &worker, int strip) const;
    float *strip_row(int part, int strip, int node, int route) const;

    Resources resources_;
    ForwardRequest request_;
    std::vector<int> part_workers_;
    int position_ = 0;
    ForwardPlan plan_;
};

} // namespace ds4::ktb
