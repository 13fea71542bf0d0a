#include "kernels/sampling/sampling.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "base/test.h"
#include "sampling/sampler.h"

namespace {

using namespace ds4;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Batch {
    int vocab;
    std::vector<std::vector<float>> rows;
    std::vector<SamplingControl> controls;
    std::vector<int> row_of; // a record's row
    // masks of host memory, which the controls point to
    void add(int row, const SamplingControl &control) {
        row_of.push_back(row), controls.push_back(control);
    }
};

std::vector<kernels::SampledToken> sample_batch(const Batch &batch) {
    device::Stream stream;
    const size_t vocab = size_t(batch.vocab), count = batch.controls.size();
    device::Memory logits(batch.rows.size() * vocab * 4),
        records(count * sizeof(kernels::SamplingRecord)),
        scratch(size_t(kernels::sample_scratch(int(count), batch.vocab))),
        out(count * sizeof(kernels::SampledToken)), ids(count * 4);
    for (size_t r = 0; r < batch.rows.size(); r++)
        stream.to_device(logits.as<float>() + r * vocab, batch.rows[r].data(), vocab * 4);
    std::vector<device::Memory> masks;
    std::vector<kernels::SamplingRecord> all;
    for (size_t i = 0; i < count; i++) {
        const SamplingControl &control = batch.controls[i];
        if (control.mask != nullptr) {
            masks.emplace_back((vocab + 31) / 32 * 4);
            stream.to_device(masks.back().data(), control.mask, masks.back().bytes());
        }
        all.push_back(kernels::sampling_record(
            control, batch.row_of[i],
            control.mask == nullptr ? nullptr : masks.back().as<uint32_t>()));
    }
    stream.to_device(records.data(), all.data(), records.bytes());
    stream.fill(out.data(), 0xff, out.bytes());
    kernels::sample({records.as<kernels::SamplingRecord>(), int32_t(count), batch.vocab,
                     logits.as<float>(), scratch.data(), out.as<kernels::SampledToken>(),
                     ids.as<int32_t>()},
                    stream);
    std::vector<kernels::SampledToken> tokens(count);
    std::vector<int32_t> again(count);
    stream.to_host(tokens.data(), out.data(), out.bytes());
    stream.to_host(again.data(), ids.data(), ids.bytes());
    stream.wait();
    for (size_t i = 0; i < count; i++) CHECK(again[i] == tokens[i].token.id);
    return tokens;
}

bool is_close(float actual, float expected) { // the last bit: exp and log of a device
    return actual == expected || std::fabs(actual - expected) <= 2e-7f * std::fabs(expected) ||
           (std::isnan(actual) && std::isnan(expected));
}

bool is_same(const ds4_job_token &actual, const ds4_job_token &expected) {
    bool same = actual.id == expected.id && is_close(actual.logprob, expected.logprob) &&
                actual.top_count == expected.top_count;
    for (size_t i = 0; i < kMaxTopLogprobs; i++)
        same = same && actual.top_ids[i] == expected.top_ids[i] &&
               is_close(actual.top_logprobs[i], expected.top_logprobs[i]);
    return same;
}

// Every record has the token and log-probabilities, or the error, of the sampler.
void check_batch(const Batch &batch) {
    const std::vector<kernels::SampledToken> tokens = sample_batch(batch);
    size_t wrong = 0;
    for (size_t i = 0; i < tokens.size(); i++) {
        ds4_job_token expected{};
        int32_t status = DS4_OK;
        expected.id = -1;
        try {
            if (batch.controls[i].samples)
                expected = Sampler().sample(batch.rows[size_t(batch.row_of[i])], batch.controls[i]);
        } catch (const Error &error) {
            status = error.status();
            expected = {}, expected.id = -1;
        }
        wrong += tokens[i].status == status && is_same(tokens[i].token, expected) ? 0 : 1;
    }
    CHECK(wrong == 0);
}

SamplingControl record_of(float temperature, float top_p, float min_p, uint32_t top_k,
                          float uniform) {
    SamplingControl control;
    control.greedy = false;
    control.temperature = temperature, control.top_p = top_p, control.min_p = min_p;
    control.top_k = top_k, control.uniform = uniform;
    return control;
}

float uniform_of(std::mt19937 &random) { return float(random() >> 8) * 0x1p-24f; }

std::vector<float> normal_row(std::mt19937 &random, size_t size, float spread) {
    std::normal_distribution<float> normal(0.0f, spread);
    std::vector<float> logits(size);
    for (float &logit : logits) {
        const unsigned kind = unsigned(random() % 150);
        logit = kind < 3    ? -kInfinity
                : kind == 3 ? std::nanf("")
                : kind == 4 ? kInfinity
                            : normal(random);
    }
    logits[0] = 0.0f;
    return logits;
}

TEST("tokens and log-probabilities are the sampler's, over random settings, rows and masks") {
    std::mt19937 random(7);
    const float temperatures[] = {0.1f, 0.6f, 1.0f, 1.7f, 8.0f, 100.0f, 0.0f},
                tops[] = {0.1f, 0.8f, 0.95f, 0.9999999f, 1.0f},
                mins[] = {0.0f, 0.0f, 0.0002f, 0.05f, 0.5f, 1.0f, 1.5f},
                spreads[] = {0.01f, 1.0f, 4.0f, 40.0f};
    const uint32_t ks[] = {0, 0, 0, 1, 40, 5000};
    for (const auto &[vocab, count] : {std::pair{1, 3}, {2, 3}, {31, 8}, {1000, 14}, {2053, 8}})
        for (int order = 0; order < 2; order++) {
            Batch batch;
            batch.vocab = vocab;
            std::vector<std::vector<uint32_t>> masks;
            for (int i = 0; i < count; i++) {
                batch.rows.push_back(normal_row(random, size_t(vocab), spreads[random() % 4]));
                SamplingControl control =
                    record_of(temperatures[random() % 7], tops[random() % 5], mins[random() % 7],
                              ks[random() % 6], uniform_of(random));
                masks.emplace_back(size_t(vocab) / 32 + 1);
                for (uint32_t &word : masks.back()) word = uint32_t(random()) | 1u;
                if (random() % 3 == 0) control.mask = masks.back().data();
                if (random() % 20 == 0) control.samples = false;
                if (random() % 10 == 0) control.forced = int(random() % unsigned(vocab));
                control.logprobs = random() % 4 == 0,
                control.top_logprobs = uint32_t(random() % 22);
                batch.add(i, control);
            }
            check_batch(batch);
        }
}

TEST("rows of the model's size: narrow and wide nuclei, many candidates, log-probabilities") {
    std::mt19937 random(11);
    Batch batch;
    batch.vocab = 129280;
    for (const float spread : {0.3f, 2.5f})
        batch.rows.push_back(normal_row(random, 129280, spread));
    int i = 0;
    for (const auto &[temperature, top_p, min_p, top_k] : {std::tuple{1.0f, 0.95f, 0.0f, 0u},
                                                           {1.0f, 1.0f, 0.05f, 0u},
                                                           {0.7f, 0.9f, 0.0f, 50u},
                                                           {1.0f, 0.9f, 0.00001f, 0u}}) {
        const float uniform = i < 2 ? 0.3f : 0x1.fffffep-1f;
        SamplingControl control = record_of(temperature, top_p, min_p, top_k, uniform);
        control.logprobs = i % 4 == 2, control.top_logprobs = 20;
        batch.add(i++ % 2, control);
    }
    check_batch(batch);
}

TEST("rows whose weights crowd into one bucket: equals, one high logit over a flat row") {
    std::mt19937 random(13);
    Batch batch;
    batch.vocab = 5'000;
    const size_t size = size_t(batch.vocab);
    batch.rows.assign(4, std::vector<float>(size, -2.5f));
    batch.rows[1] = normal_row(random, size, 1e-5f); // many equals, and a lone one high above
    batch.rows[1][777] = 9.0f;
    batch.rows[2].assign(size, -0.0f);
    for (size_t i = 0; i < size; i += 3) batch.rows[2][i] = 0.0f;
    batch.rows[3] = normal_row(random, size, 1e-7f);
    std::vector<uint32_t> few(size / 32 + 1, 0);
    for (size_t word = 0; word < few.size(); word += 9) few[word] = uint32_t(random()) | 2u;
    int setting = 0;
    for (int row = 0; row < 4; row++)
        for (const bool is_masked : {false, true})
            for (const auto &[temperature, top_p, min_p, top_k] :
                 {std::tuple{1.0f, 0.95f, 0.0f, 0u},
                  {1.0f, 0.3f, 1e-4f, 0u},
                  {60.0f, 0.99f, 0.9f, 0u},
                  {0.01f, 0.9f, 0.0f, 0u},
                  {2.0f, 0.9f, 0.0f, 900u}}) {
                const float uniform = is_masked ? 0x1.fffffep-1f : 0.37f;
                SamplingControl control = record_of(temperature, top_p, min_p, top_k, uniform);
                if (is_masked) control.mask = few.data();
                if ((row + setting++) % 2 == 0) batch.add(row, control);
            }
    check_batch(batch);
}

TEST("greedy, forced and unwanted tokens, borders of draws, and errors of a record alone") {
    const float nan = std::nanf("");
    Batch batch;
    batch.vocab = 4;
    batch.rows = {
        {1.0f, 3.0f, 3.0f, nan}, {nan, kInfinity, -kInfinity, nan}, {1.5f, 1.5f, 1.5f, 1.5f}};
    const uint32_t some = 0b1101, nothing = 0;
    SamplingControl control;
    batch.add(0, control);
    batch.add(1, control); // no finite logit
    control.mask = &some, batch.add(0, control);
    control.mask = &nothing, batch.add(0, control);
    control.logprobs = true, control.top_logprobs = 5;
    control.forced = 0, batch.add(0, control);
    control.forced = 3, batch.add(0, control);
    control.forced = 4, batch.add(0, control); // outside
    control.forced = 1, batch.add(1, control); // of a row without finite logits
    control.forced = 0, control.samples = false, batch.add(1, control);
    for (const int id : {0, 1, 2, 3})
        for (const float more : {0.0f, 0x1.fffff8p-3f})
            batch.add(2, record_of(1.0f, 1.0f, 0.0f, 0, 0.25f * float(id) + more));
    batch.add(0, record_of(1.0f, 0.5f, 2.0f, 0, 0.0f)); // nothing is left
    check_batch(batch);
    const std::vector<kernels::SampledToken> tokens = sample_batch(batch);
    CHECK(tokens[0].token.id == 1 && tokens[2].token.id == 2 && tokens[4].token.id == 0);
    CHECK(tokens[1].status == DS4_ERR_INTERNAL && tokens[3].status == DS4_ERR_INTERNAL);
    CHECK(tokens[6].status == DS4_ERR_ARGUMENT && tokens[6].token.id == -1);
    for (int i = 0; i < 8; i++) CHECK(tokens[size_t(9 + i)].token.id == i / 2);
}

TEST("no records launch nothing, and a row without logits is refused") {
    device::Stream stream;
    kernels::SampleParams params{};
    params.vocab = 5;
    kernels::sample(params, stream);
    int32_t status = DS4_OK;
    try {
        params.vocab = 0;
        kernels::sample(params, stream);
    } catch (const Error &error) {
        status = error.status();
    }
    CHECK(status == DS4_ERR_ARGUMENT);
}

} // namespace
