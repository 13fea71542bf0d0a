// Steps of a whole model of which only the first tokens are committed, as after a rejected draft.
#include <algorithm>
#include <vector>

#include "api/model_handle.h"
#include "api/small_model_for_tests.h"
#include "backend/cpu/cpu_backend.h"
#include "base/test.h"
#include "kv/snapshot.h"

using namespace ds4;
using namespace ds4::test;

namespace {

constexpr int64_t kVocab = 48;

struct Stepped {
    std::vector<float> logits; // [tokens, vocab]
    ds4_status status;
};

Stepped step(Backend &backend, SequenceState &sequence, const std::vector<int32_t> &tokens,
             uint32_t kept) {
    Stepped out{std::vector<float>(tokens.size() * kVocab), DS4_OK};
    StepPlan plan;
    StepSequence of_step{};
    of_step.state = &sequence, of_step.count = uint32_t(tokens.size()), of_step.follows = -1,
    of_step.logits = DS4_LOGITS_ALL;
    plan.sequences.push_back(of_step);
    plan.tokens = tokens, plan.logits = out.logits.data();
    const std::unique_ptr<Step> submitted = backend.submit(Lane::decode, std::move(plan));
    submitted->control({});
    out.status = submitted->await().status;
    submitted->commit({&kept, 1});
    return out;
}

std::vector<uint8_t> snapshot(SequenceState &sequence) {
    std::vector<uint8_t> bytes(sequence.snapshot_bytes());
    write_snapshot(*sequence.mark(), bytes.data());
    return bytes;
}

int32_t token_at(int64_t position) { return int32_t((position * 7919 + position / 7) % kVocab); }

std::vector<int32_t> tokens_from(int64_t position, int64_t count) {
    std::vector<int32_t> tokens;
    for (int64_t i = 0; i < count; i++) tokens.push_back(token_at(position + i));
    return tokens;
}

} // namespace

TEST("drafts of which 0 to 4 of 5 tokens are kept give the logits and state of single steps") {
    const SmallModel parts;
    ds4_model *model = parts.open();
    for (const uint32_t numerics : {DS4_NUMERICS_FAST, DS4_NUMERICS_TRAINED, DS4_NUMERICS_PLAIN}) {
        EngineOptions options;
        options.numerics = numerics, options.cpu.threads = 1;
        const auto backend = cpu::open_cpu_backend(model->model, options);
        const auto draft = backend->open_sequence(4096), plain = backend->open_sequence(4096);
        uint32_t state = 7, steps = 0;
        const auto draft_until = [&](uint32_t end) {
            while (draft->position() < end) {
                state = state * 1664525u + 1013904223u;
                const uint32_t at = draft->position(), kept = (state >> 16) % 5;
                std::vector<int32_t> tokens = tokens_from(at, kept);
                while (tokens.size() < 5) tokens.push_back(int32_t(tokens.size()) + 30);
                const Stepped drafted = step(*backend, *draft, tokens, kept);
                CHECK(drafted.status == DS4_OK && draft->position() == at + kept);
                for (uint32_t i = 0; i < kept; i++) {
                    const Stepped single = step(*backend, *plain, {tokens[i]}, 1);
                    CHECK(std::equal(single.logits.begin(), single.logits.end(),
                                     drafted.logits.begin() + i * kVocab));
                }
                steps++;
            }
            CHECK(snapshot(*draft) == snapshot(*plain));
        };
        draft_until(300);
        while (draft->position() < 2030) { // on to the border of a page
            const std::vector<int32_t> tokens =
                tokens_from(draft->position(), std::min(60u, 2030u - draft->position()));
            step(*backend, *draft, tokens, uint32_t(tokens.size()));
            step(*backend, *plain, tokens, uint32_t(tokens.size()));
        }
        draft_until(2090);
        CHECK(steps > 150);
    }
    ds4_model_close(model);
}
