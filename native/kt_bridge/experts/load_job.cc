#include "experts/load_job.h"

#include <algorithm>
#include <new>

#include "experts/packing.h"
#include "pool/error.h"

namespace ds4::ktb {
namespace {

constexpr int kPieceBytes = 64 << 10; // of one matrix: pieces of gate and up and the file pages they are copied from fit 512 KiB of L2
constexpr int kMinimumFoldedScale = 2, kMaximumFoldedScale = 252;

int piece_rows(size_t row_bytes, int unit, int rows) { return std::min(rows, std::max(unit, int(kPieceBytes / row_bytes) / unit * unit)); }

size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

// Canonical rows of one matrix and the staging that they and their scales may need (see ExpertSource).
struct Piece {
    MatrixShape shape;
    int rows;

    size_t code_bytes() const { return aligned(size_t(rows) * shape.row_bytes()); }
    size_t scale_bytes() const {
        const size_t bytes = size_t(method_traits(shape.method).scale_bytes);
        return bytes == 0 ? 0 : aligned((shape.scales_of_rows(0, rows) + shape.scales_in_row()) * (bytes + sizeof(float)));
    }
    size_t bytes() const { return code_bytes() + scale_bytes(); }
};

Piece piece_of(const MatrixShape &shape, int unit) { return {shape, piece_rows(shape.row_bytes(), unit, shape.rows)}; }

} // namespace

LoadJob::LoadJob(WorkerPool &pool, HugePages huge, std::vector<Item> items, bool serial, LoadProgress &progress)
    : pool_(pool), huge_(huge), items_(std::move(items)), serial_(serial), progress_(progress) {}

bool LoadJob::next(WorkerPool::Step &step) {
    if (!allocated_) allocate();
    if (failed_.load()) fail(error_code_, "%s", error_.c_str());
    if (end_ == items_.size()) return false;
    begin_ = end_;
    end_ = serial_ ? begin_ + 1 : items_.size();
    next_unit_.store(0);
    step.context = this;
    step.run = [](void *context, const Worker &worker) { static_cast<LoadJob *>(context)->work(worker); };
    return true;
}

// Checked and reserved before anything is read. The old weights of a layer go first.
void LoadJob::allocate() {
    uint64_t total = 0;
    for (const Item &item : items_) {
        const std::lock_guard<std::mutex> lock(item.layer->arenas_lock);
        item.layer->state.store(int(LayerState::loading));
        item.layer->arenas.clear();
        total += item.layer->bytes();
    }
    progress_.done_bytes.store(0);
    progress_.total_bytes.store(total);
    const uint64_t available = available_memory();
    if (total > available)
        fail(KTB_ERR_MEMORY, "%zu layers need %llu MiB of memory, %llu MiB are available", items_.size(), (unsigned long long)(total >> 20), (unsigned long long)(available >> 20));
    for (const Item &item : items_) {
        const std::lock_guard<std::mutex> lock(item.layer->arenas_lock);
        item.layer->scales_fold = true;
        for (int matrix = 0; matrix < 3; matrix++) item.layer->scale_formats[matrix] = item.source->scale_format(matrix);
        for (int part = 0; part < item.layer->layout.parts(); part++)
            item.layer->arenas.emplace_back(size_t(item.layer->shape.experts) * item.layer->layout.expert_bytes(part), Placement{pool_.part_node(part), huge_});
    }
    allocated_ = true;
}

void LoadJob::queued() noexcept {
    for (const Item &item : items_) item.layer->pending.fetch_add(1);
}

void LoadJob::finish(int code) {
    for (const Item &item : items_) {
        const std::lock_guard<std::mutex> lock(item.layer->arenas_lock);
        if (code != 0) item.layer->arenas.clear();
        item.layer->state.store(code != 0 ? code : int(LayerState::ready), std::memory_order_release);
    }
    for (const Item &item : items_) item.layer->pending.fetch_sub(1); // from here on a layer may be destroyed
}

size_t LoadJob::staging_bytes() const {
    size_t most = 0;
    for (size_t i = begin_; i < end_; i++) {
        const SourceShape &shape = items_[i].source->shape();
        most = std::max({most, 2 * piece_of(shape.of(kGate), kGroup).bytes(), piece_of(shape.of(kDown), kTileRows).bytes()});
    }
    return most + 64;
}

void LoadJob::work(const Worker &) {
    try {
        const std::unique_ptr<uint8_t[]> staging(new uint8_t[staging_bytes()]);
        int first = 0; // unit number of the layer's first expert
        size_t at = begin_;
        while (!failed_.load(std::memory_order_relaxed)) {
            const int unit = next_unit_.fetch_add(1);
            while (at < end_ && unit - first >= items_[at].layer->shape.experts) first += items_[at++].layer->shape.experts;
            if (at == end_) return;
            pack_expert(items_[at], unit - first, staging.get());
        }
    } catch (const Error &error) {
        const std::lock_guard<std::mutex> lock(error_lock_);
        if (!failed_.exchange(true)) error_ = error.what(), error_code_ = error.code();
    } catch (const std::bad_alloc &) {
        const std::lock_guard<std::mutex> lock(error_lock_);
        if (!failed_.exchange(true)) error_ = "out of memory for the staging buffer of a loader", error_code_ = KTB_ERR_MEMORY;
    }
}

void LoadJob::pack_expert(const Item &item, int expert, uint8_t *staging) {
    item.source->begin_expert(expert);
    pack_inputs(item, expert, staging);
    pack_down(item, expert, staging);
    item.source->end_expert(expert);
    progress_.done_bytes.fetch_add(item.layer->bytes() / uint64_t(item.layer->shape.experts), std::memory_order_relaxed);
}

// Rows [begin, begin + rows) of a matrix, checked, in `staging` or where the source has them.
LoadJob::Rows LoadJob::read_rows(const Item &item, const RowRange &range, uint8_t *staging) {
    const Piece piece{item.source->shape().of(range.matrix), range.rows};
    Rows rows{piece.shape, range.begin, item.source->codes(range.expert, range.matrix, range.begin, range.rows, staging), nullptr};
    check_codes(piece.shape, rows.codes, range.begin, range.rows, item.source->name(range.expert, range.matrix));
    rows.scales = item.source->scales(range.expert, range.matrix, range.begin, range.rows, staging + piece.code_bytes());
    if (piece.shape.method != Method::mxfp4) return rows;
    const auto [lowest, highest] = byte_range(rows.scales, piece.shape.scales_of_rows(range.begin, range.rows));
    if (lowest < kMinimumFoldedScale || highest > kMaximumFoldedScale) __atomic_store_n(&item.layer->scales_fold, false, __ATOMIC_RELAXED);
    return rows;
}

// Gate and up: 32 rows of each make the 64 rows of a panel.
void LoadJob::pack_inputs(const Item &item, int expert, uint8_t *staging) {
    const LayerLayout &layout = item.layer->layout;
    const Piece piece = piece_of(item.source->shape().of(kGate), kGroup);
    for (int begin = 0; begin < piece.shape.rows; begin += piece.rows) {
        const int count = std::min(piece.rows, piece.shape.rows - begin);
        const Rows halves[2] = {read_rows(item, {expert, kGate, begin, count}, staging), read_rows(item, {expert, kUp, begin, count}, staging + piece.bytes())};
        for (int first = begin; first < begin + count; first += kGroup) {
            const int slice = first / layout.slice_channels, panel = first % layout.slice_channels / kGroup;
            int part = 0;
            while (slice >= layout.slice_begin[size_t(part) + 1]) part++;
            uint8_t *record = const_cast<uint8_t *>(item.layer->record(part, expert, slice - layout.slice_begin[size_t(part)]));
            TileRows rows;
            for (int row = 0; row < kTileRows; row++) halves[row / kGroup].place(first + row % kGroup, rows.codes[row], rows.scales[row]);
            const int tiles = item.layer->shape.hidden / layout.input_unit;
            pack_strip(piece.shape.method, rows, {0, layout.input_unit, tiles, record + size_t(panel) * layout.panel_bytes, layout.input_tile_bytes});
        }
    }
}

void LoadJob::pack_down(const Item &item, int expert, uint8_t *staging) {
    const LayerLayout &layout = item.layer->layout;
    const Piece piece = piece_of(item.source->shape().of(kDown), kTileRows);
    for (int begin = 0; begin < piece.shape.rows; begin += piece.rows) {
        const int count = std::min(piece.rows, piece.shape.rows - begin);
        const Rows source = read_rows(item, {expert, kDown, begin, count}, staging);
        for (int first = begin; first < begin + count; first += kTileRows) {
            TileRows rows;
            for (int row = 0; row < kTileRows; row++) source.place(first + row, rows.codes[row], rows.scales[row]);
            const size_t offset = layout.down_offset + size_t(first / kTileRows) * layout.down_tile_bytes;
            for (int part = 0; part < layout.parts(); part++)
                if (layout.slices(part) > 0)
                    pack_strip(piece.shape.method, rows, {layout.slice_begin[size_t(part)] * layout.slice_channels, layout.slice_channels, layout.slices(part),
                                                          const_cast<uint8_t *>(item.layer->record(part, expert, 0)) + offset, layout.record_bytes});
        }
    }
}

} // namespace ds4::ktb
