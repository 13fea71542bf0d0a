// The C interface against tables, snapshots and handles with false contents.
#include <cstddef>
#include <limits>

#include "api/small_model_for_tests.h"
#include "base/test.h"
#include "ds4.h"

using namespace ds4::test;

namespace {

std::vector<int32_t> prompt(int count) {
    std::vector<int32_t> tokens;
    for (int i = 0; i < count; i++) tokens.push_back(i * 7 % 48);
    return tokens;
}

// Adds the tensors and, if all were taken, seals; false if something was refused.
bool is_taken(const SmallModel &parts, const std::vector<ds4_tensor> &tensors) {
    ds4_model *model = parts.create();
    const bool taken = ds4_model_add_tensors(model, tensors.data(), tensors.size(),
                                             parts.names.data(), parts.names.size()) == DS4_OK &&
                       ds4_model_seal(model) == DS4_OK;
    ds4_model_close(model);
    return taken;
}

} // namespace

TEST("a tensor entry with any field out of its range is refused") {
    const SmallModel parts;
    CHECK(is_taken(parts, parts.tensors));
    const uint64_t wide[] = {0, 1ull << 31, 1ull << 32, 1ull << 61, 1ull << 63, ~0ull, ~0ull - 63};
    int accepted = 0;
    for (size_t i = 0; i < parts.tensors.size(); i++) {
        const auto refuses = [&](const auto &change) {
            std::vector<ds4_tensor> tensors = parts.tensors;
            const ds4_tensor before = tensors[i];
            change(tensors[i]);
            if (std::memcmp(&before, &tensors[i], sizeof before) != 0)
                accepted += is_taken(parts, tensors) ? 1 : 0;
        };
        for (const uint64_t value : wide) {
            refuses([&](ds4_tensor &t) { t.rows = value; });
            refuses([&](ds4_tensor &t) { t.cols = value; });
            refuses([&](ds4_tensor &t) { t.depth = value; });
            refuses([&](ds4_tensor &t) { t.bytes = value; });
            refuses([&](ds4_tensor &t) { t.rows = value, t.bytes = value * 4 * t.cols * t.depth; });
            if (value != 0) refuses([&](ds4_tensor &t) { t.offset = value; });
            if (value != 0)
                refuses([&](ds4_tensor &t) { t.name_offset = uint32_t(value) | 1u << 31; });
        }
        refuses([&](ds4_tensor &t) { t.offset = parts.file_bytes() - t.bytes + 1; });
        for (const uint32_t value : {1u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
            refuses([&](ds4_tensor &t) { t.file = value; });
            refuses([&](ds4_tensor &t) { t.kind = value | 64u; });
            refuses([&](ds4_tensor &t) { t.layer = int32_t(value == 1 ? 3 : value); });
            refuses([&](ds4_tensor &t) { t.expert = int32_t(value) | 4; });
            refuses([&](ds4_tensor &t) { t.type = value | 32u; });
            refuses([&](ds4_tensor &t) { t.reserved = value; });
        }
    }
    CHECK(accepted == 0);
}

TEST("weights at odd offsets give the bits that aligned ones give") {
    for (const uint32_t type : {DS4_TYPE_F32, DS4_TYPE_F16, DS4_TYPE_BF16})
        for (const uint32_t numerics : {DS4_NUMERICS_FAST, DS4_NUMERICS_PLAIN}) {
            std::vector<float> expected;
            for (const uint64_t odd : {0, 1}) {
                const SmallModel parts({type, odd});
                const SmallEngine engine(parts, 1, numerics);
                ds4_session *session = engine.open_session();
                const std::vector<float> logits = engine.step(session, prompt(40));
                ds4_session_close(session);
                CHECK(std::isfinite(logits[0]));
                if (odd == 0)
                    expected = logits;
                else
                    CHECK(logits == expected);
            }
        }
}

TEST("a snapshot with any byte of its header changed, cut anywhere or too long is refused and "
     "changes nothing") {
    const SmallModel parts;
    const SmallEngine engine(parts);
    ds4_session *session = engine.open_session(), *other = engine.open_session();
    engine.step(session, prompt(21));
    engine.step(other, prompt(5));
    std::vector<uint8_t> saved(ds4_session_snapshot_bytes(session));
    uint64_t written = 0;
    expect_ok(ds4_session_snapshot(session, saved.data(), saved.size(), &written));
    CHECK(written == saved.size());
    int taken = 0;
    const auto restore = [&](const uint8_t *bytes, uint64_t count) {
        taken += ds4_session_restore(other, bytes, count) == DS4_OK ? 1 : 0;
    };
    for (size_t i = 0; i < 48; i++)
        for (const uint8_t flip : {1, 128, 255}) {
            std::vector<uint8_t> lie = saved;
            lie[i] ^= flip;
            restore(lie.data(), lie.size());
        }
    for (size_t count = 0; count < saved.size(); count += 1 + count / 16) {
        const std::vector<uint8_t> cut(
            saved.begin(), saved.begin() + long(count)); // its own memory: a read past it is seen
        restore(cut.data() == nullptr ? saved.data() : cut.data(), count);
    }
    std::vector<uint8_t> longer = saved;
    longer.push_back(0);
    restore(longer.data(), longer.size());
    CHECK(taken == 0);
    CHECK(ds4_session_position(other) == 5);
    restore(saved.data(), saved.size());
    CHECK(taken == 1 && ds4_session_position(other) == 21);
    CHECK(engine.step(other, {1, 2}) == engine.step(session, {1, 2}));
    ds4_session_close(session);
    ds4_session_close(other);
}

TEST("a job is refused for a session of another engine") {
    const SmallModel parts;
    const SmallEngine engine(parts), other(parts);
    ds4_session *session = other.open_session();
    uint64_t job = 0;
    CHECK(engine.try_start(session, prompt(3), 1, job) == DS4_ERR_ARGUMENT);
    ds4_session_close(session);
}

TEST("a session that outlives its engine refuses what needs it and can be closed") {
    const SmallModel parts;
    ds4_session *session = nullptr;
    {
        const SmallEngine engine(parts);
        session = engine.open_session();
    }
    CHECK(ds4_session_reset(session) == DS4_ERR_ARGUMENT);
    CHECK(ds4_session_cancel(session) == DS4_ERR_ARGUMENT);
    ds4_session_close(session);
}

TEST("engine options about experts are refused out of range, and a pointer that a short struct "
     "cuts is none") {
    const SmallModel parts;
    ds4_model *model = parts.open();
    ds4_load_progress progress{};
    ds4_engine_options good{};
    good.struct_bytes = sizeof good, good.threads = 1, good.experts = DS4_EXPERTS_MAPPED,
    good.progress = &progress;
    const auto open = [&](ds4_engine_options options) {
        ds4_engine *engine = nullptr;
        const ds4_status status = ds4_engine_open(model, &options, &engine);
        ds4_engine_close(engine);
        return status;
    };
    const auto refuses = [&](auto change) {
        ds4_engine_options options = good;
        change(options);
        return open(options) == DS4_ERR_ARGUMENT;
    };
    CHECK(open(good) == DS4_OK);
    CHECK(refuses([](ds4_engine_options &o) { o.experts = 3; }));
    CHECK(refuses([](ds4_engine_options &o) { o.expert_numerics = 5; }));
    CHECK(refuses([](ds4_engine_options &o) { o.expert_threads = 4097; }));
    CHECK(refuses([](ds4_engine_options &o) { o.expert_parts = 65; }));
    CHECK(refuses([](ds4_engine_options &o) { o.expert_layers = 65537; }));
    CHECK(refuses([](ds4_engine_options &o) { o.progress->reserved = 1; }));
    progress.reserved = 0;
    alignas(8) uint8_t bytes[sizeof progress + 8] = {};
    CHECK(refuses([&](ds4_engine_options &o) {
        o.progress = reinterpret_cast<ds4_load_progress *>(bytes + 4);
    }));

    ds4_engine_options cut = good;
    cut.expert_library = reinterpret_cast<const char *>(uintptr_t(1) << 20),
    cut.progress = reinterpret_cast<ds4_load_progress *>(uintptr_t(1) << 20); // nothing lies there
    cut.struct_bytes = uint32_t(offsetof(ds4_engine_options, expert_library)) + 4;
    CHECK(open(cut) == DS4_OK);
    cut.expert_library = nullptr,
    cut.struct_bytes = uint32_t(offsetof(ds4_engine_options, progress)) + 4;
    CHECK(open(cut) == DS4_OK);
    ds4_model_close(model);
}
