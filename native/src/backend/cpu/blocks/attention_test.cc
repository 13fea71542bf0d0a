#include "backend/cpu/blocks/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "backend/cpu/blocks/unit_model.h"
#include "backend/cpu/host_memory.h"
#include "base/test.h"

using namespace ds4;
using namespace ds4::cpu;
using ds4::test::VectorFile;

namespace {

struct Run {
    std::vector<float> out;
    Trace trace;
    std::vector<uint8_t> index_rows; // as stored
    uint64_t last_regions = 0;       // parallel regions of the last chunk
};

// Feeds x [count, 256] through one attention layer in chunks of the given sizes (the last one
// repeats).
Run run_layer(unit::Bench &bench, int layer, const LayerWeights &weights, const float *x,
              int64_t count, std::vector<int64_t> chunks) {
    Attention attention(bench.context);
    Sequence sequence(host_pages(bench.context.cache), 4096);
    Run run;
    run.out.assign(size_t(count * 256), NAN);
    for (int64_t begin = 0, i = 0; begin < count; i++) {
        const int64_t size = std::min(
            count - begin, chunks[size_t(std::min<int64_t>(i, int64_t(chunks.size()) - 1))]);
        std::vector<float> window(size_t(size * 64)), compressed(size_t(size * 64));
        for (int64_t t = 0; t < size; t++) {
            bench.context.window_rope.angles(uint32_t(begin + t), window.data() + t * 64);
            bench.context.compressed_rope.angles(uint32_t(begin + t), compressed.data() + t * 64);
        }
        sequence.reserve(uint32_t(size));
        const SequenceRows rows{&sequence, 0, size, begin};
        const uint64_t regions = bench.pool.regions();
        attention.run(layer, weights, {&rows, 1}, {window.data(), compressed.data()},
                      x + begin * 256, size, run.out.data() + begin * 256, &run.trace);
        run.last_regions = bench.pool.regions() - regions;
        const std::vector<int32_t> tokens(size_t(size), 1);
        sequence.commit(tokens.data(), uint32_t(size));
        begin += size;
    }
    const PagedRows &index = sequence.layer(layer).index;
    if (bench.dims.layer[size_t(layer)].has_indexer())
        for (int64_t i = 0; i < count / 4; i++)
            run.index_rows.insert(run.index_rows.end(), index.row(i),
                                  index.row(i) + index.row_bytes());
    return run;
}

double worst(const std::vector<float> &a, const float *b) {
    double largest = 0.0;
    for (size_t i = 0; i < a.size(); i++)
        largest = std::max(largest, double(std::fabs(a[i] - b[i])));
    return std::isnan(a[0]) ? NAN : largest;
}

LayerWeights layer_weights(const VectorFile &attention, const VectorFile *compressor,
                           bool indexed) {
    LayerWeights w;
    unit::add_attention(w, attention);
    if (compressor != nullptr) w.compressor = unit::compressor(*compressor, "attn.compressor");
    if (indexed) {
        w.index_compressor = unit::compressor(*compressor, "attn.indexer.compressor");
        w.index_q = unit::matrix(*compressor, "attn.indexer.wq_b"),
        w.index_weights = unit::matrix(*compressor, "attn.indexer.weights_proj");
    }
    return w;
}

// Share of decoded values that differ between traced rows and recorded packed rows, over channels
// [begin, end).
double changed(const std::vector<float> &rows, const test::Recorded &packed, int begin, int end) {
    const KvRowFormat format{512, 64, RowStorage::packed};
    int64_t differ = 0, total = 0;
    for (int64_t r = 0; r < packed.rows(); r++) {
        float x[512];
        format.decode(packed.bytes.data() + r * 584, x);
        for (int i = begin; i < end; i++, total++) differ += x[i] != rows[size_t(r * 512 + i)];
    }
    return double(differ) / double(total);
}

} // namespace

TEST("window attention with sinks equals the recorded layer, for every kernel set and chunking") {
    const VectorFile file("unit/attention.safetensors");
    const LayerWeights weights = layer_weights(file, nullptr, false);
    for (const Isa isa : unit::every_isa()) {
        unit::Bench bench(isa, RowStorage::f32);
        const Run whole = run_layer(bench, 0, weights, file["x"].floats(), 40, {40});
        CHECK_CLOSE(worst(whole.out, file["out"].floats()), 0.0, 2.1e-5);
        const Run step = run_layer(bench, 0, weights, file["x"].floats(), 40, {39, 1});
        CHECK(step.last_regions == 4);
        for (const auto &chunks :
             {std::vector<int64_t>{1}, std::vector<int64_t>{15, 1, 17}, std::vector<int64_t>{7}})
            CHECK(run_layer(bench, 0, weights, file["x"].floats(), 40, chunks).out == whole.out);
    }
}

TEST("a ratio-4 layer with trained roundings equals the recorded one: rows, choices and output") {
    const VectorFile attention("unit/attention.safetensors"),
        compressor("unit/compressor_r4.safetensors"), trained("unit/trained.safetensors");
    const LayerWeights weights = layer_weights(attention, &compressor, true);
    for (const Isa isa : unit::every_isa()) {
        unit::Bench bench(isa, RowStorage::packed);
        const Run run = run_layer(bench, 1, weights, compressor["x"].floats(), 45, {45});
        CHECK_CLOSE(worst(run.out, trained["layer4.out"].floats()), 0.0, 2.5e-4);
        CHECK(changed(run.trace.values().at("layer1.raw_rows"), trained["layer4.raw"], 0, 448) <=
              1e-4);
        CHECK(changed(run.trace.values().at("layer1.raw_rows"), trained["layer4.raw"], 448, 512) <=
              2e-3);
        CHECK(changed(run.trace.values().at("layer1.compressed"), trained["layer4.compressed"], 0,
                      448) <= 1e-4);
        CHECK(run.index_rows == trained["layer4.index_keys"].bytes);
        const std::vector<float> &queries = run.trace.values().at("layer1.index_queries");
        const IndexRowFormat packed{128, RowStorage::packed};
        CHECK(queries.size() == 45 * 16 * 128);
        for (int64_t row = 0; row < 45 * 16; row++) {
            float x[128];
            packed.decode(trained["layer4.index_queries"].bytes.data() + row * 68, x);
            CHECK(std::equal(x, x + 128, queries.begin() + row * 128));
        }
        // queries that see more than top-k entries record their choice; they are the last ones
        const std::vector<float> &chosen = run.trace.values().at("layer1.index_selected");
        const auto &expected = trained["layer4.index_selected"];
        const int64_t offset = expected.count() - int64_t(chosen.size());
        CHECK(chosen.size() >= 6 * 14);
        for (size_t i = 0; i < chosen.size(); i++)
            CHECK(int32_t(chosen[i]) == expected.ints()[offset + int64_t(i)]);
        CHECK(run_layer(bench, 1, weights, compressor["x"].floats(), 45, {3, 1, 5, 2}).out ==
              run.out);
        const Run step = run_layer(bench, 1, weights, compressor["x"].floats(), 45, {44, 1});
        // This token selects. Six rows are one work item, their chunk on tile registers two.
        const bool tiled = tile_attention(isa, bench.context.cache.kv) != nullptr;
        CHECK(step.last_regions == (tiled ? 5 : 4));
    }
}

TEST("a ratio-128 layer with trained roundings equals the recorded one") {
    const VectorFile attention("unit/attention.safetensors"),
        compressor("unit/compressor_r128.safetensors"), trained("unit/trained.safetensors");
    // A frequency that differs in its last place turns a few bf16 roundings of rotary channels:
    // take the recorded ones.
    const VectorFile tables("unit/rope.safetensors");
    const test::Recorded &frequencies = tables["release.compress.inv_freq"];
    const LayerWeights weights = layer_weights(attention, &compressor, false);
    for (const Isa isa : unit::every_isa()) {
        unit::Bench bench(isa, RowStorage::packed);
        bench.context.compressed_rope =
            Rope(std::vector<float>(frequencies.floats(), frequencies.floats() + 32));
        const Run run = run_layer(bench, 2, weights, compressor["x"].floats(), 140, {140});
        const std::vector<float> &raw = run.trace.values().at("layer2.raw_rows");
        CHECK(changed(raw, trained["layer128.raw"], 0, 448) == 0.0);
        CHECK(changed(raw, trained["layer128.raw"], 448, 512) <= 2e-3);
        CHECK(changed(run.trace.values().at("layer2.compressed"), trained["layer128.compressed"], 0,
                      512) <= 2e-3);
        // One recorded rotary value lies 4e-8 from the middle of two bf16 numbers, less than f32
        // can hold. Where such a value went the other way, the 16 queries that see it move by its
        // step; all others agree closely.
        const KvRowFormat format{512, 64, RowStorage::packed};
        int64_t last_flip = -100;
        for (int64_t t = 0; t < 140; t++) {
            float x[512];
            format.decode(trained["layer128.raw"].bytes.data() + t * 584, x);
            if (!std::equal(x, x + 512, raw.begin() + t * 512)) last_flip = t;
            const std::vector<float> row(run.out.begin() + t * 256,
                                         run.out.begin() + (t + 1) * 256);
            CHECK_CLOSE(worst(row, trained["layer128.out"].floats() + t * 256), 0.0,
                        t - last_flip < 16 ? 2e-3 : 1e-4);
        }
        CHECK(run_layer(bench, 2, weights, compressor["x"].floats(), 140, {127, 1, 1}).out ==
              run.out);
    }
}

TEST("compressors and index scores equal the recorded ones without roundings") {
    const VectorFile attention("unit/attention.safetensors"),
        four("unit/compressor_r4.safetensors"), wide("unit/compressor_r128.safetensors");
    for (const Isa isa : unit::every_isa()) {
        unit::Bench bench(isa, RowStorage::f32);
        const Run run4 = run_layer(bench, 1, layer_weights(attention, &four, true),
                                   four["x"].floats(), 45, {45});
        CHECK_CLOSE(worst(run4.trace.values().at("layer1.compressed"), four["compressed"].floats()),
                    0.0, 1.3e-5);
        const auto *index_rows = reinterpret_cast<const float *>(run4.index_rows.data());
        CHECK_CLOSE(worst(std::vector<float>(index_rows, index_rows + 11 * 128),
                          four["index_keys"].floats()),
                    0.0, 1.1e-5);
        const Run run128 = run_layer(bench, 2, layer_weights(attention, &wide, false),
                                     wide["x"].floats(), 300, {300});
        CHECK_CLOSE(
            worst(run128.trace.values().at("layer2.compressed"), wide["compressed"].floats()), 0.0,
            2.9e-5);
    }
}

TEST("the indexer scores and chooses as recorded") {
    const VectorFile file("unit/compressor_r4.safetensors");
    for (const Isa isa : unit::every_isa()) {
        unit::Bench bench(isa, RowStorage::f32);
        const Context &context = bench.context;
        Sequence sequence(host_pages(context.cache), 44);
        sequence.reserve(44);
        const PagedRows &keys = sequence.layer(1).index;
        for (int64_t i = 0; i < 11; i++)
            std::memcpy(keys.row(i), file["index_keys"].floats() + i * 128, 512);
        Activations x;
        x.count = 45, x.cols = 256, x.values = file["x"].floats();
        std::vector<float> weights(45 * 16);
        const Product product{
            unit::matrix(file, "attn.indexer.weights_proj"), &x, nullptr, 45, weights.data(), 16};
        multiply(bench.pool, isa, {&product, 1});
        Indexer indexer(context);
        const IndexQueries queries{0, 45, 0, file["index_q"].floats(), weights.data()};
        for (int64_t t = 27; t < 45; t++) { // from position 27 on more than 6 entries are visible
            int32_t chosen[6];
            indexer.select(queries, keys, t, t + 1, chosen);
            for (int i = 0; i < 6; i++)
                CHECK(chosen[i] == file["index_selected"].ints()[t * 6 + i]);
            for (int64_t i = 0; i < Indexer::visible(t); i++)
                CHECK_CLOSE(indexer.scores(0)[i], file["index_scores"].floats()[t * 11 + i],
                            2.8e-6);
        }
    }
}

TEST(
    "sequences that are loaded together, or one batch after another, give the bits of each alone") {
    const VectorFile attention("unit/attention.safetensors"),
        compressor("unit/compressor_r4.safetensors");
    for (const int layer : {0, 1}) {
        unit::Bench bench(machine::best_isa(), RowStorage::packed);
        const LayerWeights weights = layer_weights(attention, &compressor, layer == 1);
        const float *x = compressor["x"].floats();
        const Run alone = run_layer(bench, layer, weights, x, 45, {45});
        // Windows of so many sequences are more than what is loaded at a time.
        const size_t count = 135;
        Attention shared(bench.context);
        std::vector<std::unique_ptr<Sequence>> sequences;
        for (size_t s = 0; s < count; s++)
            sequences.push_back(std::make_unique<Sequence>(host_pages(bench.context.cache), 64u));
        size_t differ = 0;
        for (int round = 0; round < 16; round++) {
            std::vector<SequenceRows> rows;
            std::vector<float> in, window, compressed;
            for (const auto &sequence : sequences) {
                const int64_t at = int64_t(rows.size()), first = sequence->position();
                const int64_t size = round == 0 ? 1 + at % 13 : 1 + (at + round) % 3;
                rows.push_back({sequence.get(), int64_t(in.size() / 256), size, first});
                in.insert(in.end(), x + first * 256, x + (first + size) * 256);
                sequence->reserve(uint32_t(size));
                for (int64_t t = first; t < first + size; t++) {
                    window.resize(window.size() + 64), compressed.resize(window.size());
                    bench.context.window_rope.angles(uint32_t(t), &*(window.end() - 64));
                    bench.context.compressed_rope.angles(uint32_t(t), &*(compressed.end() - 64));
                }
            }
            std::vector<float> out(in.size(), NAN);
            shared.run(layer, weights, rows, {window.data(), compressed.data()}, in.data(),
                       int64_t(in.size() / 256), out.data(), nullptr);
            for (const SequenceRows &of : rows) {
                differ += !std::equal(out.begin() + of.first_row * 256,
                                      out.begin() + (of.first_row + of.count) * 256,
                                      alone.out.begin() + of.position * 256);
                const std::vector<int32_t> tokens(size_t(of.count), 1);
                of.sequence->commit(tokens.data(), uint32_t(of.count));
            }
        }
        CHECK(differ == 0);
        CHECK(kLoadedBytes / (512 * 4) < int64_t(count) * 16); // so there were several batches
    }
}
