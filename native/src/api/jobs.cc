// ds4_job_*, and the calls that prepare for jobs: the vocabulary's bytes and the waker.
#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "api/boundary.h"
#include "api/copy_text.h"
#include "api/growable.h"
#include "api/mark_handle.h"
#include "core/engine.h"
#include "core/sampling/tool_tags.h"
#include "core/scheduler/generation_request.h"
#include "core/scheduler/scheduler.h"
#include "ds4.h"

using ds4::api::copy_text;
using ds4::api::guarded;
using ds4::api::require_pointer;

ds4_status ds4_engine_set_vocabulary(ds4_engine *engine, const uint8_t *bytes, uint64_t byte_count,
                                     const uint32_t *offsets, uint32_t vocab) {
    return guarded([&] {
        require_pointer(engine, "engine");
        require_pointer(bytes, "bytes");
        require_pointer(offsets, "offsets");
        engine->scheduler().set_vocabulary({bytes, size_t(byte_count)},
                                           {offsets, size_t(vocab) + 1});
    });
}

ds4_status ds4_engine_set_waker(ds4_engine *engine, void (*wake)(uint32_t tag)) {
    return guarded([&] {
        require_pointer(engine, "engine");
        engine->scheduler().set_waker(wake);
    });
}

static std::vector<std::string> split_strings(const uint8_t *bytes, const uint32_t *lengths,
                                              uint32_t count) {
    std::vector<std::string> strings;
    if (count == 0) return strings;
    require_pointer(bytes, "stop_strings");
    require_pointer(lengths, "stop_string_lengths");
    size_t begin = 0;
    for (uint32_t i = 0; i < count; i++) {
        strings.emplace_back(reinterpret_cast<const char *>(bytes) + begin, lengths[i]);
        begin += lengths[i];
    }
    return strings;
}

static std::vector<uint32_t> read_marks(const ds4_job_options &options) {
    if (options.mark_count == 0) return {};
    require_pointer(options.mark_offsets, "mark_offsets");
    return {options.mark_offsets, options.mark_offsets + options.mark_count};
}

static ds4_job_options read_options(const ds4_job_options *options) {
    ds4_job_options read = ds4::api::widened(options);
    if (options->struct_bytes <= offsetof(ds4_job_options, think_close_token))
        read.think_close_token = -1;
    constexpr size_t kSamplingEnd = offsetof(ds4_job_options, sampling) + sizeof(ds4_sampling);
    if (options->struct_bytes >= kSamplingEnd)
        read.sampling = ds4::api::widened_within(read.sampling);
    return read;
}

// Drains the job into an array of the caller whose structs are longer than this library's.
static void poll_apart(ds4_engine *engine, uint64_t job, ds4_job_token *tokens, uint32_t capacity,
                       ds4_job_state &state) {
    const uint32_t stride = engine->job_token_bytes;
    auto *out = reinterpret_cast<uint8_t *>(tokens);
    uint32_t total = 0;
    for (;;) {
        ds4_job_token some[16];
        const uint32_t room = std::min<uint32_t>(capacity - total, 16);
        engine->scheduler().poll(job, some, room, state);
        for (uint32_t i = 0; i < state.token_count; i++)
            ds4::api::narrow(ds4::api::layout_of<ds4_job_token>(), &some[i], 0,
                             out + uint64_t(total + i) * stride, stride);
        total += state.token_count;
        if (state.token_count < room || total == capacity) break;
    }
    state.token_count = total;
}

ds4_status ds4_job_start(ds4_engine *engine, ds4_session *session, const ds4_job_options *options,
                         const int32_t *tokens, uint32_t prompt_count, const uint8_t *stop_strings,
                         const uint32_t *stop_string_lengths, uint32_t stop_string_count,
                         uint64_t *out_job) {
    return guarded([&] {
        require_pointer(engine, "engine");
        require_pointer(session, "session");
        require_pointer(options, "options");
        require_pointer(tokens, "tokens");
        require_pointer(out_job, "out_job");
        const ds4_job_options read = read_options(options);
        const int32_t *const stop_tokens = tokens + prompt_count;
        *out_job = engine->scheduler().start({
            .session = session,
            .options = read,
            .prompt = {tokens, stop_tokens},
            .stop_tokens = {stop_tokens, stop_tokens + read.stop_token_count},
            .stop_strings = split_strings(stop_strings, stop_string_lengths, stop_string_count),
            .tool_names = ds4::read_tool_names(read.tool_names),
            .mark_offsets = read_marks(read),
        });
    });
}

ds4_status ds4_job_poll(ds4_engine *engine, uint64_t job, ds4_job_token *out_tokens,
                        uint32_t capacity, ds4_job_state *out_state) {
    return guarded([&] {
        require_pointer(engine, "engine");
        require_pointer(out_state, "out_state");
        if (capacity > 0) require_pointer(out_tokens, "out_tokens");
        const ds4::api::StructLayout &layout = ds4::api::layout_of<ds4_job_state>();
        ds4::api::check_struct_bytes(layout, out_state->struct_bytes);
        ds4_job_state state{};
        if (engine->job_token_bytes == sizeof(ds4_job_token))
            engine->scheduler().poll(job, out_tokens, capacity, state);
        else
            poll_apart(engine, job, out_tokens, capacity, state);
        ds4::api::narrow(layout, &state, sizeof state.struct_bytes, out_state,
                         out_state->struct_bytes);
    });
}

ds4_status ds4_job_take_mark(ds4_engine *engine, uint64_t job, ds4_mark **out_mark) {
    return guarded([&] {
        require_pointer(engine, "engine");
        require_pointer(out_mark, "out_mark");
        auto handle = std::make_unique<ds4_mark>();
        handle->mark = engine->scheduler().take_mark(job);
        *out_mark = handle->mark == nullptr ? nullptr : handle.release();
    });
}

uint64_t ds4_job_error(ds4_engine *engine, uint64_t job, char *text, uint64_t capacity) {
    return ds4::api::guarded_value<uint64_t>(0, [&] {
        require_pointer(engine, "engine");
        const std::string error = engine->scheduler().error(job);
        if (capacity > 0) require_pointer(text, "text");
        return copy_text(error, text, capacity);
    });
}

ds4_status ds4_job_cancel(ds4_engine *engine, uint64_t job) {
    return guarded([&] {
        require_pointer(engine, "engine");
        engine->scheduler().cancel(job);
    });
}

ds4_status ds4_job_free(ds4_engine *engine, uint64_t job) {
    return guarded([&] {
        require_pointer(engine, "engine");
        engine->scheduler().free(job);
    });
}
