#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "device/launch.h"
#include "ds4.h"
#include "kernels/indexer/indexer.h"
#include "kernels/indexer/score_packed.cuh"
#include "kernels/indexer/score_plain.cuh"
#include "kernels/row_codecs/index_row.cuh"
#include "kernels/selection/top_items.cuh"

namespace ds4::kernels {
namespace {

constexpr int kFewRows = 8;            // that spread their choice over blocks
constexpr int64_t kChoicePart = 16384; // entries of such a block
constexpr int kManyRows = 8;           // rows of a block that scores

struct ChooseParams {
    ScoreParams score;
    int64_t parts; // of max_visible
    int32_t *ids;  // [rows, parts, top_k]: the best of every part
};

// The best of one part of a row's entries. Blocks along x: parts; along y: rows.
__global__ void __launch_bounds__(kTopThreads) choose_parts_kernel(ChooseParams p) {
    TopShared &shared = shared_memory<TopShared>();
    const SelectParams &in = p.score.in;
    const int row = p.score.first_row + int(blockIdx.y);
    const int64_t part = blockIdx.x, first = part * kChoicePart;
    await_previous();
    let_next_begin();
    const int64_t visible = visible_entries(in.step, row, in.ratio);
    if (visible <= in.top_k || visible <= first) return;
    const float *scores = in.scores + int64_t(blockIdx.y) * p.score.stride + first;
    int32_t *ids = p.ids + (int64_t(blockIdx.y) * p.parts + part) * in.top_k;
    choose_top([&](int i) { return order_key(scores[i]); },
               [&](int i) { return int32_t(first + i); }, int(min(kChoicePart, visible - first)),
               in.top_k, shared, [&](int place, int32_t id) { ids[place] = id; });
}

// The choice of a row, from all of its entries or from the best of its parts. A block a row.
__global__ void __launch_bounds__(kTopThreads, 3) choose_kernel(ChooseParams p) {
    TopShared &shared = shared_memory<TopShared>();
    const SelectParams &in = p.score.in;
    const int row = p.score.first_row + int(blockIdx.x);
    await_previous();
    let_next_begin();
    if (in.step.row_sequence[row] < 0) return;
    const int64_t visible = visible_entries(in.step, row, in.ratio);
    int32_t *chosen = in.chosen + int64_t(row) * in.top_k;
    if (threadIdx.x == 0) in.chosen_counts[row] = int32_t(min(visible, int64_t(in.top_k)));
    if (visible <= in.top_k) {
        for (int i = int(threadIdx.x); i < visible; i += kTopThreads) chosen[i] = i;
        return;
    }
    const float *scores = in.scores + int64_t(blockIdx.x) * p.score.stride;
    const auto put = [&](int place, int32_t id) { chosen[place] = id; };
    if (p.ids == nullptr) {
        choose_top([&](int i) { return order_key(scores[i]); }, [](int i) { return i; },
                   int(visible), in.top_k, shared, put);
        return;
    }
    // All parts but the last have top_k, so the candidates lie together.
    const int32_t *ids = p.ids + int64_t(blockIdx.x) * p.parts * in.top_k;
    const int64_t parts = (visible + kChoicePart - 1) / kChoicePart,
                  last = min(int64_t(in.top_k), visible - (parts - 1) * kChoicePart);
    choose_top([&](int i) { return order_key(scores[ids[i]]); }, [&](int i) { return ids[i]; },
               int((parts - 1) * in.top_k + last), in.top_k, shared, put);
}

bool chooses_in_parts(int64_t rows, int64_t max_visible, int32_t top_k) {
    return rows <= kFewRows && max_visible > 2 * kChoicePart && top_k <= kChoicePart;
}
int64_t parts_of(int64_t max_visible) { return (max_visible + kChoicePart - 1) / kChoicePart; }
int64_t score_stride(int64_t max_visible) { return (max_visible + 3) / 4 * 4; }

void score(const ScoreParams &params, Stream &stream) {
    const SelectParams &in = params.in;
    const int rows = params.end_row - params.first_row;
    if (!in.format.is_packed) {
        const int64_t staged = in.channels <= kPlainStagedChannels ? in.channels / 4 * 32 : 0;
        launch(score_plain_kernel,
               {.blocks = (in.max_visible + kWarp - 1) / kWarp,
                .blocks_y = rows,
                .threads = kPlainWarps * kWarp,
                .shared_bytes = int64_t(sizeof(PlainShared)) + staged * 16,
                .after_trigger = true},
               stream, params);
        return;
    }
    LaunchShape shape{.blocks = (in.max_visible + kBlockKeys - 1) / kBlockKeys,
                      .blocks_y = (rows + params.block_rows - 1) / params.block_rows,
                      .threads = kScoreWarps * kWarp,
                      .after_trigger = true};
    const auto run = [&](auto kernel, size_t shared) {
        shape.shared_bytes = int64_t(shared);
        launch(kernel, shape, stream, params);
    };
    if (in.channels == 64) run(score_packed_kernel<2>, sizeof(ScoreShared<2>));
    if (in.channels == 128) run(score_packed_kernel<4>, sizeof(ScoreShared<4>));
    if (in.channels == 256) run(score_packed_kernel<8>, sizeof(ScoreShared<8>));
}

void check(const SelectParams &in) {
    constexpr int kMostRows = 65535; // blocks along y
    if (in.format.is_packed ? !index_row_fits(in.channels) : in.channels % 4 != 0)
        fail(DS4_ERR_ARGUMENT,
             "index rows of %d channels; kernels take 64, 128 or 256, and plain "
             "ones a multiple of 4",
             in.channels);
    if (in.top_k < 1 || in.ratio < 1 || in.max_visible < 0 || in.max_visible > INT32_MAX)
        fail(DS4_ERR_ARGUMENT,
             "the best %d of %lld entries of ratio %d; expected all to be "
             "positive, and below 2^31",
             in.top_k, (long long)in.max_visible, in.ratio);
    if (in.max_visible > in.top_k && (in.score_rows < 1 || in.score_rows > kMostRows))
        fail(DS4_ERR_ARGUMENT, "scratch for the scores of %d rows; expected 1 to %d", in.score_rows,
             kMostRows);
}

} // namespace

int64_t select_scratch(int32_t score_rows, int64_t max_visible, int32_t top_k) {
    if (max_visible <= top_k) return 0;
    const int64_t few = std::min(score_rows, kFewRows);
    return score_rows * score_stride(max_visible) +
           (chooses_in_parts(few, max_visible, top_k) ? few * parts_of(max_visible) * top_k : 0);
}

void select_entries(const SelectParams &params, device::Stream &stream) {
    check(params);
    const bool scores = params.max_visible > params.top_k;
    ChooseParams all{};
    all.score.in = params;
    all.score.stride = score_stride(params.max_visible);
    all.score.weight_scale = float(1.0 / std::sqrt(double(params.channels) * double(params.heads)));
    all.score.block_rows = params.step.rows <= kFewRows ? 1 : kManyRows;
    all.parts = parts_of(params.max_visible);
    const int32_t tile = scores ? params.score_rows : params.step.rows;
    for (int32_t first = 0; first < params.step.rows; first += tile) {
        const int32_t rows = std::min(tile, params.step.rows - first);
        all.score.first_row = first, all.score.end_row = first + rows;
        all.ids = nullptr;
        if (scores) score(all.score, stream);
        if (scores && chooses_in_parts(rows, params.max_visible, params.top_k)) {
            all.ids =
                reinterpret_cast<int32_t *>(params.scores + params.score_rows * all.score.stride);
            launch(choose_parts_kernel,
                   {.blocks = all.parts,
                    .blocks_y = rows,
                    .threads = kTopThreads,
                    .shared_bytes = sizeof(TopShared),
                    .after_trigger = true},
                   stream, all);
        }
        launch(choose_kernel,
               {.blocks = rows,
                .threads = kTopThreads,
                .shared_bytes = sizeof(TopShared),
                .after_trigger = true},
               stream, all);
    }
}

} // namespace ds4::kernels
