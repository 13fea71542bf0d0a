// A forward: splits its tokens into passes and runs each on all workers.
//
// Up to 8 tokens (fused): a worker takes a contiguous range of (expert, slice) units, computes gate, up, activation
// and its share of the down product without a barrier in between, and adds into its own [tokens, H] sums, which are
// then summed in worker order.
// More tokens: gate and up for all routes (units are claimed largest expert first; nothing is summed across them),
// then every worker computes its own output columns for all experts in order. Both give the same bits in every run.
#pragma once
#include <atomic>

#include "experts/job.h"
#include "experts/plan.h"
#include "experts/workspace.h"

namespace ds4::ktb {

struct ForwardTimes { // microseconds of the last pass, on the first worker
    std::atomic<uint32_t> prepare{0}, experts{0}, reduce{0};
};

class ForwardJob : public Job {
  public:
    struct Resources {
        WorkerPool &pool;
        Workspace &workspace;
        ForwardTimes &times;
        HugePages huge;
        const Kernels &kernels;
        bool fp8_reference;
        int max_tokens;
    };
    ForwardJob(const Resources &resources, const ForwardRequest &request) : resources_(resources), request_(request) {}
    bool next(WorkerPool::Step &step) override;
    void finish(int code) override;

  private:
    void work(const Worker &worker);
    void prepare_inputs(const Worker &worker);
    void fused(const Worker &worker);
    void fused_unit(const Worker &worker, const ActiveExpert &active, int slice);
    void sum_workers(const Worker &worker);
    void inputs_to_inner(const Worker &worker);
    void slice_inner(const Worker &worker, const uint8_t *record, const uint8_t *const *rows, int count, size_t at);
    void round_inner(const Worker &worker);
    void inner_to_outputs(const Worker &worker);
    void sum_parts(const Worker &worker);
    void sum_routes(const Worker &worker, int token, int begin, int end, float *sums) const;
    void store(int token, int begin, int end, const float *sums) const;

    Resources resources_;
    ForwardRequest request_;
    int position_ = 0;
    Plan plan_;
};

} // namespace ds4::ktb
