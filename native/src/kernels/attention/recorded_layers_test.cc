// Whole attention layers against recorded ones: all kernels that make, keep and read cache rows.
// Matrices are multiplied on the CPU.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>

#include "backend/cpu/blocks/unit_model.h"
#include "base/test.h"
#include "kernels/attention/attention.h"
#include "kernels/cache_rows/cache_rows.h"
#include "kernels/compressor/compressor.h"
#include "kernels/indexer/indexer.h"
#include "kernels/step/step_for_tests.h"

namespace {

using namespace ds4;
using namespace ds4::kernels;
using ds4::kernels::test::DeviceArray;
using ds4::test::VectorFile;

constexpr int kHidden = 256, kDim = 512, kRope = 64, kIndexDim = 128;
constexpr int kPageShift = 2; // entries in a page: 4

struct Compressing {
    cpu::CompressorWeights weights;
    int channels = 0;
    bool is_index = false;
    RingLayout values{}, scores{};
    PagedLayout entries{};
    RowFormat format{};
};

int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// A layer with one sequence of its own.
class RecordedLayer {
  public:
    RecordedLayer(int ratio, bool is_packed, const VectorFile &attention,
                  const VectorFile *compressor, const Rope &rope)
        : bench_(machine::best_isa(), is_packed ? RowStorage::packed : RowStorage::f32),
          ratio_(ratio), frequencies_(rope.frequencies()) {
        cpu::unit::add_attention(weights_, attention);
        const RowStorage storage = is_packed ? RowStorage::packed : RowStorage::f32;
        format_ = {kDim, kRope, is_packed, int32_t(KvRowFormat{kDim, kRope, storage}.bytes())};
        window_ = add_ring(bench_.dims.sliding_window, format_.bytes);
        if (ratio != 0)
            add_compressor({cpu::unit::compressor(*compressor, "attn.compressor"),
                            kDim,
                            false,
                            {},
                            {},
                            {},
                            format_});
        if (ratio == 4) {
            add_compressor(
                {cpu::unit::compressor(*compressor, "attn.indexer.compressor"),
                 kIndexDim,
                 true,
                 {},
                 {},
                 {},
                 {kIndexDim, 0, is_packed, int32_t(IndexRowFormat{kIndexDim, storage}.bytes())}});
            index_q_ = cpu::unit::matrix(*compressor, "attn.indexer.wq_b");
            index_weights_ = cpu::unit::matrix(*compressor, "attn.indexer.weights_proj");
        }
        recent_.emplace_back(std::vector<uint8_t>(size_t(recent_bytes_), 0x7f));
        staged_.emplace_back(std::vector<uint8_t>(size_t(recent_bytes_), 0x7f));
        for (int i = 0; i < 8; i++)
            pages_.emplace_back(std::vector<uint8_t>(size_t(page_bytes_) + 64, 0x7f));
        std::vector<uint8_t *> table;
        for (const DeviceArray<uint8_t> &page : pages_) table.push_back(page.data());
        page_table_.emplace_back(table);
    }

    // Feeds x [count, hidden] in steps of the given sizes; the last one repeats. Each step has up
    // to `dropped` tokens more, which are not kept. Returns [count, hidden]; rows before `from` are
    // not attended for and NaN, which saves the time of their queries. Steps that drop tokens stage
    // their rows by launches of their own, the others by the kernels that make them.
    std::vector<float> run(const float *x, int64_t count, const std::vector<int64_t> &sizes,
                           int64_t from, int64_t dropped = 0) {
        std::vector<float> out;
        from_ = from, in_one_launch_ = dropped == 0;
        for (int64_t begin = 0, i = 0; begin < count; i++) {
            const int64_t at = std::min<int64_t>(i, int64_t(sizes.size()) - 1),
                          kept = std::min(sizes[size_t(at)], count - begin),
                          rows = std::min(kept + dropped, count - begin);
            const std::vector<float> step = run_step(x + begin * kHidden, begin, rows, kept);
            out.insert(out.end(), step.begin(), step.begin() + kept * kHidden);
            begin += kept;
        }
        return out;
    }
    const std::vector<uint8_t> &kv_rows() const { return kv_rows_; } // of the last step
    // Entry i of the layer or of its indexer.
    std::vector<uint8_t> entry(int64_t i, bool is_index) const {
        const Compressing &of = compressors_[is_index ? 1 : 0];
        const std::vector<uint8_t> page = pages_[size_t(i >> kPageShift)].get();
        const auto begin =
            page.begin() + of.entries.offset + (i & ((1 << kPageShift) - 1)) * of.entries.row_bytes;
        return {begin, begin + of.entries.row_bytes};
    }

  private:
    RingLayout add_ring(int32_t slots, int32_t row_bytes) {
        const RingLayout ring{recent_bytes_, slots, row_bytes};
        recent_bytes_ = aligned(recent_bytes_ + int64_t(slots) * row_bytes);
        rings_.push_back(ring);
        return ring;
    }
    int halves() const { return ratio_ == 4 ? 2 : 1; }
    void add_compressor(Compressing c) {
        const int32_t row_bytes = halves() * c.channels * 4, slots = halves() * ratio_;
        c.values = add_ring(slots, row_bytes), c.scores = add_ring(slots, row_bytes);
        c.entries = {page_bytes_, c.format.bytes, kPageShift};
        page_bytes_ = aligned(page_bytes_ + (int64_t(c.format.bytes) << kPageShift));
        compressors_.push_back(std::move(c));
    }

    std::vector<float> product(const cpu::Matrix &matrix, const std::vector<float> &x) {
        cpu::Activations in;
        in.cols = matrix.cols, in.count = int64_t(x.size()) / matrix.cols, in.values = x.data();
        std::vector<float> y(size_t(in.count * matrix.rows));
        const cpu::Product product{matrix, &in, nullptr, in.count, y.data(), matrix.rows};
        cpu::multiply(bench_.pool, machine::best_isa(), {&product, 1});
        return y;
    }

    StepTable begin_step(int64_t position, int64_t rows) {
        std::vector<int32_t> positions;
        for (int64_t i = 0; i < rows; i++) positions.push_back(int32_t(position + i));
        step_arrays_.clear(), step_entries_.clear();
        step_arrays_.emplace_back(std::vector<int32_t>(size_t(rows), 0));
        step_arrays_.emplace_back(positions);
        step_entries_.emplace_back(std::vector<SequenceEntry>{
            {int32_t(position), 0, int32_t(rows), int32_t(pages_.size()), page_table_[0].data(),
             recent_[0].data(), staged_[0].data()}});
        StepTable step;
        step.rows = int32_t(rows), step.sequence_count = 1;
        step.row_sequence = step_arrays_[0].data(), step.row_position = step_arrays_[1].data();
        step.sequences = step_entries_[0].data();
        return step;
    }
    // The step as attention sees it: rows before from_ are padded ones.
    StepTable queries_of(StepTable step, int64_t position) {
        std::vector<int32_t> sequence;
        for (int64_t i = 0; i < step.rows; i++) sequence.push_back(position + i < from_ ? -1 : 0);
        step.row_sequence = step_arrays_.emplace_back(sequence).data();
        return step;
    }

    void stage(const StepTable &step, const RingLayout &ring, const void *rows) {
        stage_rows({step, ring, static_cast<const uint8_t *>(rows), ring.row_bytes}, stream_);
    }
    // All compressors in one launch, or launch after launch.
    void compress_step(const StepTable &step, const std::vector<float> &x) {
        std::deque<DeviceArray<float>> arrays;
        const auto on_device = [&](const auto &values) {
            return arrays.emplace_back(std::vector<float>(values.begin(), values.end())).data();
        };
        std::vector<CompressParams> params;
        for (const Compressing &c : compressors_)
            params.push_back({step, on_device(product(c.weights.values, x)),
                              on_device(product(c.weights.gate, x)),
                              on_device(c.weights.position_bias), on_device(c.weights.norm),
                              on_device(frequencies_), ratio_, halves(), c.channels, kRope,
                              c.values, c.scores, c.entries, c.format, c.is_index, 1e-6f});
        if (in_one_launch_ && !params.empty()) compress_and_stage(params, stream_);
        for (const CompressParams &p : params) {
            if (in_one_launch_) continue;
            compress(p, stream_);
            stage(step, p.values_ring, p.values), stage(step, p.scores_ring, p.gate);
        }
        stream_.wait();
    }

    struct Choice {
        DeviceArray<int32_t> chosen, counts;
    };
    Choice choose(const StepTable &step, int64_t last, const std::vector<float> &x,
                  const std::vector<float> &q_low, const float *angles) {
        const int heads = bench_.dims.index_heads, top_k = bench_.dims.index_top_k;
        const Compressing &c = compressors_[1];
        const DeviceArray<float> q(product(index_q_, q_low)), weights(product(index_weights_, x));
        const DeviceArray<uint8_t> packed(size_t(int64_t(step.rows) * heads * c.format.bytes));
        uint8_t *const to = c.format.is_packed ? packed.data() : nullptr;
        finish_index_queries({step, angles, q.data(), heads, kIndexDim, kRope, c.format, to},
                             stream_);
        const int64_t visible = (last + 1) / ratio_;
        const DeviceArray<float> scores(size_t(select_scratch(4, visible, top_k)));
        Choice out{DeviceArray<int32_t>(size_t(step.rows * top_k)),
                   DeviceArray<int32_t>(size_t(step.rows))};
        select_entries({step, to == nullptr ? q.data() : nullptr, to, weights.data(), heads,
                        kIndexDim, c.entries, c.format, ratio_, top_k, visible, scores.data(), 4,
                        out.chosen.data(), out.counts.data()},
                       stream_);
        stream_.wait();
        return out;
    }

    std::vector<float> project_out(const std::vector<float> &heads, int64_t rows) {
        const int64_t groups = bench_.dims.o_groups, rank = bench_.dims.o_lora_rank,
                      width = bench_.dims.group_width();
        std::vector<float> low(size_t(rows * groups * rank));
        for (int64_t g = 0; g < groups; g++) {
            const std::vector<float> y =
                product(weights_.output_a[size_t(g)],
                        {heads.begin() + g * rows * width, heads.begin() + (g + 1) * rows * width});
            for (int64_t r = 0; r < rows; r++)
                std::copy_n(y.begin() + r * rank, rank, low.begin() + (r * groups + g) * rank);
        }
        return product(weights_.output_b, low);
    }

    std::vector<float> run_step(const float *x_of_step, int64_t position, int64_t rows,
                                int64_t kept) {
        const std::vector<float> x(x_of_step, x_of_step + rows * kHidden);
        const StepTable step = begin_step(position, rows);
        const DeviceArray<float> frequencies(frequencies_), angles(size_t(rows * kRope)),
            q_low(product(weights_.q_a, x)), kv(product(weights_.kv, x)),
            q_norm(std::vector<float>(weights_.q_norm)),
            kv_norm(std::vector<float>(weights_.kv_norm)),
            sinks(std::vector<float>(weights_.sinks));
        const DeviceArray<uint8_t> kv_rows(size_t(rows * format_.bytes));
        make_angles({step, frequencies.data(), kRope, angles.data()}, stream_);
        finish_low({step, angles.data(), q_low.data(), q_norm.data(), bench_.dims.q_lora_rank,
                    kv.data(), kv_norm.data(), format_, 1e-6f, kv_rows.data(),
                    in_one_launch_ ? window_ : RingLayout{}},
                   stream_);
        kv_rows_ = kv_rows.get();
        const DeviceArray<float> q(product(weights_.q_b, q_low.get()));
        finish_heads({step, angles.data(), q.data(), bench_.dims.heads, kDim, kRope, 1e-6f},
                     stream_);
        compress_step(step, x);
        const StepTable queries = queries_of(step, position);
        std::deque<Choice> choice;
        const int64_t last = position + rows - 1;
        if (ratio_ == 4) choice.push_back(choose(queries, last, x, q_low.get(), angles.data()));
        AttendParams p{};
        p.step = queries, p.q = q.data(), p.kv_rows = kv_rows.data(), p.angles = angles.data();
        p.sinks = sinks.data(), p.heads = bench_.dims.heads, p.channels = kDim;
        p.format = format_, p.sliding_window = bench_.dims.sliding_window, p.window = window_;
        p.ratio = ratio_, p.groups = bench_.dims.o_groups;
        if (ratio_ != 0) p.entries = compressors_[0].entries, p.max_visible = (last + 1) / ratio_;
        if (ratio_ == 4)
            p.chosen = choice[0].chosen.data(), p.chosen_counts = choice[0].counts.data(),
            p.top_k = bench_.dims.index_top_k;
        const DeviceArray<float> scratch(size_t(attend_scratch_floats(p))),
            out(size_t(rows * bench_.dims.heads * kDim));
        p.scratch = scratch.data(), p.out = out.data();
        attend(p, stream_);
        if (!in_one_launch_) stage(step, window_, kv_rows.data());
        const DeviceArray<int32_t> d_kept(std::vector<int32_t>{int32_t(kept)});
        const DeviceArray<RingLayout> d_rings(rings_);
        commit_rows({step, d_kept.data(), d_rings.data(), int32_t(rings_.size())}, stream_);
        stream_.wait();
        return project_out(out.get(), rows);
    }

    cpu::unit::Bench bench_;
    cpu::LayerWeights weights_;
    cpu::Matrix index_q_{}, index_weights_{};
    int ratio_;
    int64_t from_ = 0;
    bool in_one_launch_ = false;
    std::vector<float> frequencies_;
    RowFormat format_{};
    RingLayout window_{};
    int64_t recent_bytes_ = 0, page_bytes_ = 0;
    std::vector<RingLayout> rings_;
    std::vector<Compressing> compressors_;
    std::deque<DeviceArray<uint8_t>> recent_, staged_, pages_;
    std::deque<DeviceArray<uint8_t *>> page_table_;
    std::deque<DeviceArray<int32_t>> step_arrays_;
    std::deque<DeviceArray<SequenceEntry>> step_entries_;
    std::vector<uint8_t> kv_rows_;
    device::Stream stream_;
};

// The largest difference of rows from `from` on.
double worst(const std::vector<float> &a, const float *b, int64_t from) {
    double largest = 0.0;
    for (size_t i = size_t(from * kHidden); i < a.size(); i++) {
        const double difference = std::fabs(a[i] - b[i]);
        largest = difference <= largest ? largest : difference; // keeps NaN
    }
    return largest;
}
bool same_rows(const std::vector<float> &a, const std::vector<float> &b, int64_t from) {
    return a.size() == b.size() && a.size() > size_t(from * kHidden) &&
           std::equal(a.begin() + from * kHidden, a.end(), b.begin() + from * kHidden);
}

// Share of the bytes of two sets of rows that differ.
double share_of_differences(const std::vector<uint8_t> &a, const uint8_t *b) {
    int64_t differ = 0;
    for (size_t i = 0; i < a.size(); i++) differ += a[i] != b[i];
    return double(differ) / double(a.size());
}

TEST("a window layer equals the recorded one, in one step, in many, and with tokens dropped") {
    const VectorFile file("unit/attention.safetensors");
    const Rope rope(cpu::unit::shape(), false);
    const float *x = file["x"].floats();
    const auto make = [&] { return RecordedLayer(0, false, file, nullptr, rope); };
    const std::vector<float> whole = make().run(x, 40, {40}, 0);
    CHECK_CLOSE(worst(whole, file["out"].floats(), 0), 0.0, 2.1e-5);
    CHECK(same_rows(make().run(x, 40, {15, 1, 17}, 25), whole, 25));
    CHECK(same_rows(make().run(x, 40, {1}, 36), whole, 36));
    CHECK(same_rows(make().run(x, 40, {2, 1, 5}, 30, 9), whole, 30));
}

TEST("a ratio-4 layer with an indexer equals the recorded one: rows, entries and output") {
    const VectorFile attention("unit/attention.safetensors"),
        compressor("unit/compressor_r4.safetensors"), trained("unit/trained.safetensors");
    const Rope rope(cpu::unit::shape(), true);
    const float *x = compressor["x"].floats();
    const auto make = [&] { return RecordedLayer(4, true, attention, &compressor, rope); };
    RecordedLayer layer = make();
    const std::vector<float> whole = layer.run(x, 45, {45}, 31);
    CHECK_CLOSE(worst(whole, trained["layer4.out"].floats(), 31), 0.0, 2.5e-4);
    CHECK(share_of_differences(layer.kv_rows(), trained["layer4.raw"].bytes.data()) <= 1e-3);
    for (int64_t i = 0; i < 11; i++) {
        const std::vector<uint8_t> entry = layer.entry(i, false), index = layer.entry(i, true);
        CHECK(share_of_differences(entry, trained["layer4.compressed"].bytes.data() + i * 584) <=
              4e-3);
        CHECK(share_of_differences(index, trained["layer4.index_keys"].bytes.data() + i * 68) == 0);
    }
    CHECK(same_rows(make().run(x, 45, {3, 1, 5, 2}, 41), whole, 41));
    CHECK(same_rows(make().run(x, 45, {1, 3, 2}, 41, 4), whole, 41));
}

TEST("a ratio-128 layer equals the recorded one, but where a recorded rounding lies on the edge") {
    const VectorFile attention("unit/attention.safetensors"),
        compressor("unit/compressor_r128.safetensors"), trained("unit/trained.safetensors"),
        tables("unit/rope.safetensors");
    const float *frequencies = tables["release.compress.inv_freq"].floats();
    const Rope rope(std::vector<float>(frequencies, frequencies + kRope / 2));
    const float *x = compressor["x"].floats();
    constexpr int64_t kFrom = 125;
    const auto make = [&] { return RecordedLayer(128, true, attention, &compressor, rope); };
    RecordedLayer layer = make();
    const std::vector<float> whole = layer.run(x, 140, {140}, kFrom);
    const uint8_t *raw = trained["layer128.raw"].bytes.data();
    CHECK(share_of_differences(layer.kv_rows(), raw) <= 1e-3);
    CHECK(share_of_differences(layer.entry(0, false),
                               trained["layer128.compressed"].bytes.data()) <= 4e-3);
    int64_t last_difference = -100; // a query sees 16 rows
    for (int64_t t = 0; t < 140; t++) {
        if (std::memcmp(layer.kv_rows().data() + t * 584, raw + t * 584, 584) != 0)
            last_difference = t;
        if (t < kFrom) continue;
        const std::vector<float> row(whole.begin() + t * kHidden,
                                     whole.begin() + (t + 1) * kHidden);
        CHECK_CLOSE(worst(row, trained["layer128.out"].floats() + t * kHidden, 0), 0.0,
                    t - last_difference < 16 ? 2e-3 : 1e-4);
    }
    CHECK(same_rows(make().run(x, 140, {127, 1, 1}, 135), whole, 135));
    CHECK(same_rows(make().run(x, 140, {7, 5}, 137, 8), whole, 137));
}

} // namespace
