#include "engine/serving.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "engine/flash_width_model.h"
#include "engine/median.h"

namespace ds4::bench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

class Job {
  public:
    Job(ds4_engine *engine, uint32_t vocab, uint32_t prompt_tokens, uint32_t max_tokens)
        : engine_(engine), begin_(Clock::now()) {
        const ds4_session_options open{sizeof open, prompt_tokens + max_tokens + 16, nullptr};
        expect_ok(ds4_session_open(engine, &open, &session_), "ds4_session_open");
        std::vector<int32_t> tokens(prompt_tokens);
        for (uint32_t i = 0; i < prompt_tokens; i++) tokens[i] = int32_t(i * 7919 % vocab);
        ds4_job_options options{};
        options.struct_bytes = sizeof options;
        options.max_tokens = max_tokens, options.think_close_token = -1;
        options.sampling.struct_bytes = sizeof options.sampling;
        begin_ = Clock::now();
        expect_ok(ds4_job_start(engine, session_, &options, tokens.data(), prompt_tokens, nullptr,
                                nullptr, 0, &id_),
                  "ds4_job_start");
    }
    ~Job() {
        ds4_job_cancel(engine_, id_);
        ds4_session_close(session_);
        ds4_job_free(engine_, id_);
    }
    Job(const Job &) = delete;

    uint32_t generated() const {
        ds4_job_state state{};
        state.struct_bytes = sizeof state;
        ds4_job_token tokens[64];
        expect_ok(ds4_job_poll(engine_, id_, tokens, 64, &state), "ds4_job_poll");
        return state.generated;
    }
    // Seconds from the start to the first token.
    double first_token() const {
        while (generated() == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
        return seconds_since(begin_);
    }

  private:
    ds4_engine *engine_;
    ds4_session *session_ = nullptr;
    uint64_t id_ = 0;
    Clock::time_point begin_;
};

double median_of(uint32_t repeats, const std::function<double()> &measure) {
    std::vector<double> values;
    for (uint32_t i = 0; i < repeats; i++) values.push_back(measure());
    return median(values);
}

// Tokens a second of the stream while `until` is not reached.
double rate(const Job &stream, const std::function<bool()> &until) {
    const uint32_t before = stream.generated();
    const Clock::time_point begin = Clock::now();
    while (!until()) std::this_thread::sleep_for(std::chrono::microseconds(500));
    return double(stream.generated() - before) / seconds_since(begin);
}

} // namespace

ServingFigures measure_serving(ds4_engine *engine, uint32_t vocab, uint32_t document_tokens,
                               uint32_t repeats) {
    constexpr uint32_t kQuestion = 10, kEndless = 100'000;
    ServingFigures figures{};
    const auto ask = [&] { return Job(engine, vocab, kQuestion, 1).first_token(); };
    const auto read = [&] { return Job(engine, vocab, document_tokens, 1).first_token(); };
    ask();
    figures.question_alone = median_of(repeats, ask);
    figures.document_alone = median_of(repeats, read);
    figures.question_behind = median_of(repeats, [&] {
        const Job document(engine, vocab, document_tokens, 1);
        std::this_thread::sleep_for(
            std::chrono::duration<double>(std::min(0.2, figures.document_alone / 4)));
        return ask();
    });
    const Job stream(engine, vocab, kQuestion, kEndless);
    stream.first_token();
    figures.stream_alone = median_of(repeats, [&] {
        const Clock::time_point begin = Clock::now();
        return rate(stream, [&] { return seconds_since(begin) > 1.0; });
    });
    std::vector<double> rates;
    figures.document_beside = median_of(repeats, [&] {
        const Job document(engine, vocab, document_tokens, 1);
        const Clock::time_point begin = Clock::now();
        rates.push_back(rate(stream, [&] { return document.generated() > 0; }));
        return seconds_since(begin);
    });
    figures.stream_beside = median(rates);
    return figures;
}

} // namespace ds4::bench
