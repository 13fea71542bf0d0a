#include "experts/load_job.h"

#include <algorithm>
#include <new>

#include "pool/error.h"

namespace ds4::ktb {
namespace {

constexpr int kPieceBytes = 256 << 10; // of one matrix: codes, scales and tiles of a piece fit a core's L2
constexpr int kMinimumFoldedScale = 2, kMaximumFoldedScale = 252;

int piece_rows(int row_bytes, int unit, int rows) { return std::min(rows, std::max(unit, kPieceBytes / row_bytes / unit * unit)); }

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
        for (int part = 0; part < item.layer->layout.parts(); part++)
            item.layer->arenas.emplace_back(size_t(item.layer->shape.experts) * item.layer->layout.expert_bytes(part), Placement{pool_.part_node(part), huge_});
    }
    allocated_ = true;
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
        const LayerShape &shape = items_[i].layer->shape;
        const size_t inputs = size_t(piece_rows(shape.hidden / 2, kGroup, shape.inner)) * size_t(shape.hidden);
        const size_t down = size_t(piece_rows(shape.inner / 2, kTileRows, shape.hidden)) * size_t(shape.inner);
        // codes take cols / 2, scales up to cols * 3 / 32; gate and up are staged together
        most = std::max({most, inputs / 2 * 2 + inputs * 3 / 32 * 2, down / 2 + down * 3 / 32});
    }
    return most + 256;
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

void LoadJob::check_scales(const Item &item, int expert, int matrix, int begin, const uint8_t *scales, size_t count) {
    uint8_t lowest = 255, highest = 0;
    for (size_t i = 0; i < count; i++) lowest = std::min(lowest, scales[i]), highest = std::max(highest, scales[i]);
    if (highest == 255) fail(KTB_ERR_FORMAT, "%s: scale 255 (NaN) near row %d", item.source->scale_name(expert, matrix).c_str(), begin);
    if (lowest < kMinimumFoldedScale || highest > kMaximumFoldedScale) __atomic_store_n(&item.layer->scales_fold, false, __ATOMIC_RELAXED);
}

// Gate and up: 32 rows of each make the 64 rows of a tile.
void LoadJob::pack_inputs(const Item &item, int expert, uint8_t *staging) {
    const LayerShape &shape = item.layer->shape;
    const LayerLayout &layout = item.layer->layout;
    const size_t row_bytes = size_t(shape.hidden) / 2, row_scales = size_t(shape.hidden) / kGroup;
    const int rows = piece_rows(int(row_bytes), kGroup, shape.inner);
    for (int begin = 0; begin < shape.inner; begin += rows) {
        const int count = std::min(rows, shape.inner - begin);
        const uint8_t *codes[2], *scales[2];
        uint8_t *free_staging = staging;
        for (int matrix : {kGate, kUp}) {
            codes[matrix] = item.source->codes(expert, matrix, begin, count, free_staging);
            free_staging += size_t(count) * row_bytes;
            scales[matrix] = item.source->scales(expert, matrix, begin, count, free_staging);
            free_staging += size_t(count) * row_scales * 3;
            check_scales(item, expert, matrix, begin, scales[matrix], size_t(count) * row_scales);
        }
        for (int first = 0; first < count; first += kGroup) {
            const int slice = (begin + first) / kGroup;
            int part = 0;
            while (slice >= layout.slice_begin[size_t(part) + 1]) part++;
            uint8_t *tile = const_cast<uint8_t *>(item.layer->record(part, expert, slice - layout.slice_begin[size_t(part)]));
            const uint8_t *row_codes[kTileRows], *row_scale[kTileRows];
            for (int row = 0; row < kTileRows; row++) {
                const int matrix = row / kGroup;
                row_codes[row] = codes[matrix] + size_t(first + row % kGroup) * row_bytes;
                row_scale[row] = scales[matrix] + size_t(first + row % kGroup) * row_scales;
            }
            for (int group = 0; group < layout.input_groups; group += kPackGroups, tile += kPackGroups * kTileBytes) {
                pack_tiles(row_codes, row_scale, tile, kTileBytes);
                for (int row = 0; row < kTileRows; row++) row_codes[row] += kPackGroups * kGroup / 2, row_scale[row] += kPackGroups;
            }
        }
    }
}

void LoadJob::pack_down(const Item &item, int expert, uint8_t *staging) {
    const LayerShape &shape = item.layer->shape;
    const LayerLayout &layout = item.layer->layout;
    const size_t row_bytes = size_t(shape.inner) / 2, row_scales = size_t(shape.inner) / kGroup;
    const int rows = piece_rows(int(row_bytes), kTileRows, shape.hidden);
    for (int begin = 0; begin < shape.hidden; begin += rows) {
        const int count = std::min(rows, shape.hidden - begin);
        const uint8_t *codes = item.source->codes(expert, kDown, begin, count, staging);
        const uint8_t *scales = item.source->scales(expert, kDown, begin, count, staging + size_t(count) * row_bytes);
        check_scales(item, expert, kDown, begin, scales, size_t(count) * row_scales);
        for (int first = 0; first < count; first += kTileRows) {
            const uint8_t *row_codes[kTileRows], *row_scale[kTileRows];
            for (int row = 0; row < kTileRows; row++) row_codes[row] = codes + size_t(first + row) * row_bytes, row_scale[row] = scales + size_t(first + row) * row_scales;
            const size_t offset = layout.down_offset + size_t((begin + first) / kTileRows) * kTileBytes;
            for (int part = 0; part < layout.parts(); part++)
                for (int slice = 0; slice < layout.slices(part); slice += kPackGroups) {
                    pack_tiles(row_codes, row_scale, const_cast<uint8_t *>(item.layer->record(part, expert, slice)) + offset, layout.record_bytes);
                    for (int row = 0; row < kTileRows; row++) row_codes[row] += kPackGroups * kGroup / 2, row_scale[row] += kPackGroups;
                }
        }
    }
}

} // namespace ds4::ktb
