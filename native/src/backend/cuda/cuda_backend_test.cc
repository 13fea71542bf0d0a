// Whole steps of a small model on the CUDA backend, against the CPU backend.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "api/model_handle.h"
#include "api/small_model_for_tests.h"
#include "backend/backend.h"
#include "backend/cpu/cpu_backend.h"
#include "backend/cuda/memory_plan.h"
#include "backend/device_backend.h"
#include "base/test.h"
#include "kv/snapshot.h"
#include "kv/snapshot_reader.h"

using namespace ds4;
using namespace ds4::test;

namespace {

constexpr int64_t kVocab = 48;

int32_t token_at(int64_t position) { return int32_t((position * 7919 + position / 7) % kVocab); }

std::vector<int32_t> tokens_from(int64_t position, int64_t count) {
    std::vector<int32_t> tokens;
    for (int64_t i = 0; i < count; i++) tokens.push_back(token_at(position + i));
    return tokens;
}

struct Part { // of a step
    SequenceState *sequence;
    std::vector<int32_t> tokens;
    uint32_t kept;
};

// Logits of all tokens, [tokens, vocab].
std::vector<float> step(Backend &backend, const std::vector<Part> &parts,
                        Lane lane = Lane::decode) {
    StepPlan plan;
    std::vector<uint32_t> kept;
    for (const Part &part : parts) {
        StepSequence sequence{};
        sequence.state = part.sequence, sequence.count = uint32_t(part.tokens.size());
        sequence.follows = -1, sequence.logits = DS4_LOGITS_ALL;
        plan.sequences.push_back(sequence);
        plan.tokens.insert(plan.tokens.end(), part.tokens.begin(), part.tokens.end());
        kept.push_back(part.kept);
    }
    std::vector<float> logits(plan.tokens.size() * kVocab);
    plan.logits = logits.data();
    const std::unique_ptr<Step> submitted = backend.submit(lane, std::move(plan));
    submitted->control({});
    const StepResult &result = submitted->await();
    if (result.status != DS4_OK) throw std::runtime_error(result.text);
    submitted->commit(kept);
    return logits;
}

std::vector<float> advance(Backend &backend, SequenceState &sequence, int64_t count,
                           int64_t chunk) {
    std::vector<float> logits;
    for (int64_t done = 0; done < count;) {
        const int64_t now = std::min(chunk, count - done);
        const std::vector<float> part =
            step(backend, {{&sequence, tokens_from(sequence.position(), now), uint32_t(now)}});
        logits.insert(logits.end(), part.begin(), part.end());
        done += now;
    }
    return logits;
}

std::vector<uint8_t> snapshot(SequenceState &sequence) {
    std::vector<uint8_t> bytes(sequence.snapshot_bytes());
    write_snapshot(*sequence.mark(), bytes.data());
    return bytes;
}

// The largest difference, of the largest value.
double difference(const std::vector<float> &a, const std::vector<float> &b) {
    double most = 0, worst = 0;
    for (size_t i = 0; i < a.size(); i++) {
        most = std::max(most, std::fabs(double(b[i])));
        const double off = std::fabs(double(a[i]) - double(b[i]));
        worst = off <= worst ? worst : off; // a NaN stays
    }
    return worst / most;
}

// The share of positions whose logits differ by more than 2e-4 of the largest.
double share_that_differs(const std::vector<float> &a, const std::vector<float> &b) {
    int64_t count = 0;
    for (size_t at = 0; at < a.size(); at += kVocab) {
        const auto row = [at](const std::vector<float> &all) {
            return std::vector<float>(all.begin() + int64_t(at),
                                      all.begin() + int64_t(at) + kVocab);
        };
        if (!(difference(row(a), row(b)) < 2e-4)) count++;
    }
    return double(count) * kVocab / double(a.size());
}

// Sums in another order turn the rounding of a cache row now and then, by several percent of a
// channel. Without such roundings no position may differ.
double allowed_share(uint32_t numerics) { return numerics == DS4_NUMERICS_PLAIN ? 0 : 0.2; }

struct Opened {
    SmallModel parts;
    ds4_model *handle;
    explicit Opened(const SmallModelOptions &options = {}) : parts(options), handle(parts.open()) {}
    ~Opened() { ds4_model_close(handle); }
    std::unique_ptr<Backend> cpu(uint32_t numerics) const {
        return cpu::open_cpu_backend(handle->model, options(numerics));
    }
    std::unique_ptr<Backend> cuda(uint32_t numerics) const {
        return device_backend()->open(handle->model, options(numerics));
    }
    static EngineOptions options(uint32_t numerics) {
        EngineOptions options;
        options.numerics = numerics, options.cpu.threads = 1;
        options.cpu.isa = DS4_ISA_GENERIC;
        options.experts.place = DS4_EXPERTS_MAPPED;
        return options;
    }
};

constexpr uint32_t kNumerics[] = {DS4_NUMERICS_FAST, DS4_NUMERICS_TRAINED, DS4_NUMERICS_PLAIN};

} // namespace

TEST("a model of any arithmetic gives the CPU's logits, in steps of any length") {
    const Opened model;
    for (const uint32_t numerics : kNumerics) {
        const auto cpu = model.cpu(numerics), cuda = model.cuda(numerics);
        const auto expected = cpu->open_sequence(4096);
        const std::vector<float> logits = advance(*cpu, *expected, 70, 40);
        for (const auto &[count, chunk] : {std::pair{5, 1}, {14, 7}, {70, 70}}) {
            const auto sequence = cuda->open_sequence(4096);
            const std::vector<float> ours = advance(*cuda, *sequence, count, chunk);
            CHECK(share_that_differs(ours, logits) <= allowed_share(numerics));
        }
    }
}

TEST("wide matrices of eight-bit blocks give the CPU's logits") {
    SmallModelOptions wide;
    wide.type = DS4_TYPE_Q8_0, wide.width = 256;
    const Opened model(wide);
    // Weights of this model are eighths: `fast` would round ties, which the last bit of a sum
    // turns.
    for (const uint32_t numerics : {DS4_NUMERICS_TRAINED, DS4_NUMERICS_PLAIN}) {
        const auto cpu = model.cpu(numerics), cuda = model.cuda(numerics);
        const auto expected = cpu->open_sequence(4096), sequence = cuda->open_sequence(4096);
        CHECK(share_that_differs(advance(*cuda, *sequence, 20, 6),
                                 advance(*cpu, *expected, 20, 20)) <= allowed_share(numerics));
    }
}

TEST("a step of several sequences, or another split, changes no bit") {
    const Opened model;
    const auto cuda = model.cuda(DS4_NUMERICS_FAST);
    const auto first = cuda->open_sequence(4096), second = cuda->open_sequence(4096),
               alone = cuda->open_sequence(4096);
    advance(*cuda, *first, 37, 5);
    advance(*cuda, *second, 37, 37);
    CHECK(snapshot(*first) == snapshot(*second));
    advance(*cuda, *second, 11, 3);
    const std::vector<float> together =
        step(*cuda, {{first.get(), tokens_from(37, 3), 3}, {second.get(), tokens_from(48, 1), 1}});
    advance(*cuda, *alone, 37, 20);
    const std::vector<float> single = step(*cuda, {{alone.get(), tokens_from(37, 3), 3}});
    CHECK(std::equal(single.begin(), single.end(), together.begin()));
    CHECK(snapshot(*first) == snapshot(*alone));
}

TEST("a sequence saved on one backend goes on on the other") {
    const Opened model;
    const auto cpu = model.cpu(DS4_NUMERICS_PLAIN), cuda = model.cuda(DS4_NUMERICS_PLAIN);
    const auto move = [&](Backend &from, Backend &to) {
        const auto saved = from.open_sequence(4096), restored = to.open_sequence(4096),
                   whole = to.open_sequence(4096);
        advance(from, *saved, 50, 25);
        const std::vector<uint8_t> bytes = snapshot(*saved);
        SnapshotReader reader(to.pages().shared_from_this(), 4096);
        reader.write(bytes);
        restored->resume(*reader.finish());
        advance(to, *whole, 50, 50);
        CHECK(restored->position() == 50);
        CHECK(difference(advance(to, *restored, 12, 4), advance(to, *whole, 12, 4)) < 2e-4);
    };
    move(*cpu, *cuda);
    move(*cuda, *cpu);
}

TEST("drafts of which 0 to 4 of 5 tokens are kept leave the state of single steps") {
    const Opened model;
    const auto cuda = model.cuda(DS4_NUMERICS_FAST);
    const auto draft = cuda->open_sequence(4096), plain = cuda->open_sequence(4096);
    uint32_t state = 7;
    while (draft->position() < 14) {
        state = state * 1664525u + 1013904223u;
        const uint32_t at = draft->position(), kept = (state >> 16) % 5;
        std::vector<int32_t> tokens = tokens_from(at, kept);
        while (tokens.size() < 5) tokens.push_back(int32_t(tokens.size()) + 30);
        const std::vector<float> drafted = step(*cuda, {{draft.get(), tokens, kept}});
        CHECK(draft->position() == at + kept);
        for (uint32_t i = 0; i < kept; i++) {
            const std::vector<float> single = step(*cuda, {{plain.get(), {tokens[i]}, 1}});
            CHECK(std::equal(single.begin(), single.end(), drafted.begin() + i * kVocab));
        }
    }
    CHECK(snapshot(*draft) == snapshot(*plain));
    const auto mark = draft->mark();
    advance(*cuda, *draft, 9, 9);
    draft->cut(*mark);
    CHECK(snapshot(*draft) == snapshot(*plain));
}

TEST("too little memory is told with what would fit") {
    const Opened model;
    const auto cuda = model.cuda(DS4_NUMERICS_FAST);
    CHECK(cuda->describe().find("\"backend\":\"cuda\"") != std::string::npos);
    const std::string plan = device_backend()->plan(model.handle->model, Opened::options(0));
    CHECK(plan.find("\"place\":\"gpu\"") != std::string::npos);
    const auto plan_of = [&](uint32_t session_tokens) {
        EngineOptions options = Opened::options(DS4_NUMERICS_FAST);
        options.session_tokens = session_tokens;
        return cuda::plan_memory(model.handle->model, options, cuda->pages());
    };
    const auto told = [](const cuda::MemoryPlan &wanted, uint64_t available) -> std::string {
        try {
            cuda::check_plan(wanted, available);
        } catch (const std::exception &error) {
            return error.what();
        }
        return "";
    };
    CHECK(told(plan_of(4096), plan_of(4096).needed()).empty());
    const cuda::MemoryPlan whole = plan_of(4096); // two pages
    CHECK(told(whole, whole.needed() - whole.account.page_bytes).find("2048 tokens would fit") !=
          std::string::npos);
    CHECK(told(plan_of(4096), 1000).find("--backend cpu") != std::string::npos);
}
