// ds4_session_*: check arguments, call core, translate exceptions.
#include "api/boundary.h"
#include "api/growable.h"
#include "api/mark_handle.h"
#include "core/engine.h"
#include "ds4.h"

using ds4::fail;
using ds4::api::guarded;
using ds4::api::require_pointer;

namespace {

ds4::Engine &engine_of(const ds4_session *session) {
    require_pointer(session, "session");
    const ds4_engine *engine = session->engine.load();
    if (engine == nullptr) fail(DS4_ERR_ARGUMENT, "the session's engine has been closed");
    return *engine->engine;
}

} // namespace

ds4_status ds4_session_open(ds4_engine *engine, const ds4_session_options *options,
                            ds4_session **out_session) {
    return guarded([&] {
        require_pointer(engine, "engine");
        require_pointer(options, "options");
        require_pointer(out_session, "out_session");
        const ds4_session_options full = ds4::api::widened(options);
        *out_session = engine->engine->open_session(
            full.context_tokens, full.mark == nullptr ? nullptr : full.mark->mark.get());
    });
}

void ds4_session_close(ds4_session *session) {
    if (session == nullptr) return;
    guarded([&] {
        if (const ds4_engine *engine = session->engine.load(); engine == nullptr)
            delete session; // its engine is gone
        else
            engine->engine->close_session(session);
    });
}

uint32_t ds4_session_position(const ds4_session *session) {
    return session == nullptr ? 0 : session->state->position();
}

uint64_t ds4_session_bytes(const ds4_session *session) {
    return session == nullptr ? 0 : session->state->bytes();
}

ds4_status ds4_session_reset(ds4_session *session) {
    return guarded([&] {
        engine_of(session).change_session(session,
                                          [](ds4::SequenceState &state) { state.reset(); });
    });
}

uint64_t ds4_session_snapshot_bytes(const ds4_session *session) {
    return session == nullptr ? 0 : session->state->snapshot_bytes();
}

ds4_status ds4_session_snapshot(ds4_session *session, void *out, uint64_t capacity,
                                uint64_t *out_bytes) {
    return guarded([&] {
        require_pointer(out, "out");
        require_pointer(out_bytes, "out_bytes");
        const auto mark = engine_of(session).mark_session(session);
        const uint64_t needed = ds4::snapshot_bytes(mark->pool(), mark->position());
        if (capacity < needed)
            fail(DS4_ERR_ARGUMENT, "the snapshot takes %llu bytes; the buffer has %llu",
                 (unsigned long long)needed, (unsigned long long)capacity);
        ds4::write_snapshot(*mark, static_cast<uint8_t *>(out));
        *out_bytes = needed;
    });
}

ds4_status ds4_session_restore(ds4_session *session, const void *bytes, uint64_t byte_count) {
    return guarded([&] {
        require_pointer(bytes, "bytes");
        ds4::Engine &engine = engine_of(session);
        ds4::SnapshotReader reader = engine.snapshot_reader();
        reader.write({static_cast<const uint8_t *>(bytes), size_t(byte_count)});
        const std::shared_ptr<const ds4::Mark> mark = reader.finish();
        engine.change_session(session, [&](ds4::SequenceState &state) { state.resume(*mark); });
    });
}

ds4_status ds4_session_mark(ds4_session *session, ds4_mark **out_mark) {
    return guarded([&] {
        require_pointer(out_mark, "out_mark");
        auto handle = std::make_unique<ds4_mark>();
        handle->mark = engine_of(session).mark_session(session);
        *out_mark = handle.release();
    });
}

ds4_status ds4_session_cut(ds4_session *session, const ds4_mark *mark) {
    return guarded([&] {
        require_pointer(mark, "mark");
        engine_of(session).change_session(
            session, [&](ds4::SequenceState &state) { state.cut(*mark->mark); });
    });
}

ds4_status ds4_session_cancel(ds4_session *session) {
    return guarded([&] {
        // The engine is not touched: another thread may be closing it.
        require_pointer(session, "session");
        if (session->engine.load() == nullptr)
            fail(DS4_ERR_ARGUMENT, "the session's engine has been closed");
        session->cancel.request();
    });
}
