// Packs the experts of one or more layers into their arenas on the engine's workers. A worker takes one expert at a
// time, reads it in pieces that stay in cache, and writes the slices of every part.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "experts/job.h"
#include "experts/layer.h"
#include "experts/source.h"

namespace ds4::ktb {

struct LoadProgress {
    std::atomic<uint64_t> done_bytes{0};
    std::atomic<uint64_t> total_bytes{0};
};

class LoadJob : public Job {
  public:
    struct Item {
        Layer *layer;
        std::shared_ptr<const ExpertSource> source;
    };
    // One step per layer when `serial`, else one for all.
    LoadJob(WorkerPool &pool, HugePages huge, std::vector<Item> items, bool serial, LoadProgress &progress);
    bool next(WorkerPool::Step &step) override;
    void queued() noexcept override;
    void finish(int code) override;

  private:
    void allocate();
    void work(const Worker &worker);
    void pack_expert(const Item &item, int expert, uint8_t *staging);
    void pack_inputs(const Item &item, int expert, uint8_t *staging);
    void pack_down(const Item &item, int expert, uint8_t *staging);
    struct RowRange {
        int expert, matrix, begin, rows;
    };
    struct Rows { // of a matrix, from row `begin` on
        MatrixShape shape;
        int begin;
        const uint8_t *codes, *scales;

        void place(int row, const uint8_t *&row_codes, const uint8_t *&row_scales) const {
            row_codes = codes + size_t(row - begin) * shape.row_bytes();
            row_scales = scales == nullptr ? nullptr : scales + size_t(shape.scale_row(row) - shape.scale_row(begin)) * scale_row_bytes(shape.method, shape.columns);
        }
    };
    Rows read_rows(const Item &item, const RowRange &range, uint8_t *staging);
    size_t staging_bytes() const;

    WorkerPool &pool_;
    HugePages huge_;
    std::vector<Item> items_;
    bool serial_;
    LoadProgress &progress_;
    size_t begin_ = 0, end_ = 0; // items of the running step
    bool allocated_ = false;
    std::atomic<int> next_unit_{0};
    std::atomic<bool> failed_{false};
    std::mutex error_lock_;
    int error_code_ = 0;
    std::string error_;
};

} // namespace ds4::ktb
