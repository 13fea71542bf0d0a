// ds4_mark_*: marks as snapshots, region by region.
#include <memory>

#include "api/boundary.h"
#include "api/mark_handle.h"
#include "core/engine.h"
#include "ds4.h"
#include "kv/snapshot.h"
#include "kv/snapshot_reader.h"

using ds4::fail;
using ds4::api::guarded;
using ds4::api::require_pointer;

struct ds4_mark_import {
    ds4::SnapshotReader reader;
};

ds4_status ds4_mark_share(const ds4_mark *mark, ds4_mark **out_mark) {
    return guarded([&] {
        require_pointer(mark, "mark");
        require_pointer(out_mark, "out_mark");
        *out_mark = new ds4_mark(*mark);
    });
}

void ds4_mark_close(ds4_mark *mark) { delete mark; }

ds4_status ds4_mark_tokens(const ds4_mark *mark, int32_t *tokens, uint64_t capacity) {
    return guarded([&] {
        require_pointer(mark, "mark");
        const uint32_t count = mark->mark->position();
        if (capacity < count)
            fail(DS4_ERR_ARGUMENT, "the mark has %u tokens; the array has room for %llu", count,
                 (unsigned long long)capacity);
        if (count > 0) require_pointer(tokens, "tokens");
        mark->mark->copy_tokens(tokens);
    });
}

uint32_t ds4_mark_position(const ds4_mark *mark) {
    return mark == nullptr ? 0 : mark->mark->position();
}

uint64_t ds4_mark_bytes(const ds4_mark *mark) { return mark == nullptr ? 0 : mark->mark->bytes(); }

uint64_t ds4_mark_own_bytes(const ds4_mark *mark) {
    return mark == nullptr ? 0 : mark->mark->own_bytes();
}

uint32_t ds4_mark_region_count(const ds4_mark *mark) {
    return mark == nullptr ? 0 : ds4::snapshot_region_count(mark->mark->position());
}

uint64_t ds4_mark_region_bytes(const ds4_mark *mark, uint32_t region) {
    if (region >= ds4_mark_region_count(mark)) return 0;
    return ds4::snapshot_region_bytes(mark->mark->pool(), mark->mark->position(), region);
}

ds4_status ds4_mark_read_region(const ds4_mark *mark, uint32_t region, void *out, uint64_t capacity,
                                uint64_t *out_bytes) {
    return guarded([&] {
        require_pointer(mark, "mark");
        require_pointer(out, "out");
        require_pointer(out_bytes, "out_bytes");
        if (region >= ds4_mark_region_count(mark))
            fail(DS4_ERR_ARGUMENT, "region %u of %u", region, ds4_mark_region_count(mark));
        const uint64_t needed = ds4_mark_region_bytes(mark, region);
        if (capacity < needed)
            fail(DS4_ERR_ARGUMENT, "region %u takes %llu bytes; the buffer has %llu", region,
                 (unsigned long long)needed, (unsigned long long)capacity);
        ds4::write_snapshot_region(*mark->mark, region, static_cast<uint8_t *>(out));
        *out_bytes = needed;
    });
}

ds4_status ds4_mark_import_open(ds4_engine *engine, ds4_mark_import **out_import) {
    return guarded([&] {
        require_pointer(engine, "engine");
        require_pointer(out_import, "out_import");
        *out_import = new ds4_mark_import{engine->engine->snapshot_reader()};
    });
}

ds4_status ds4_mark_import_write(ds4_mark_import *mark_import, const void *bytes,
                                 uint64_t byte_count) {
    return guarded([&] {
        require_pointer(mark_import, "mark_import");
        if (byte_count > 0) require_pointer(bytes, "bytes");
        mark_import->reader.write({static_cast<const uint8_t *>(bytes), size_t(byte_count)});
    });
}

ds4_status ds4_mark_import_finish(ds4_mark_import *mark_import, ds4_mark **out_mark) {
    return guarded([&] {
        require_pointer(mark_import, "mark_import");
        require_pointer(out_mark, "out_mark");
        auto handle = std::make_unique<ds4_mark>();
        handle->mark = mark_import->reader.finish();
        *out_mark = handle.release();
    });
}

void ds4_mark_import_close(ds4_mark_import *mark_import) { delete mark_import; }
