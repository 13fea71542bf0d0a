#include "backend/cuda/cuda_sequence.h"

#include <algorithm>

#include "base/assert.h"
#include "base/fail.h"
#include "ds4.h"
#include "kv/snapshot.h"

namespace ds4::cuda {

Sequence::Sequence(std::shared_ptr<PagePool> pool, const RecentLayout &recent, int ordinal,
                   uint32_t capacity)
    : pages_(std::move(pool)), recent_layout_(recent), ordinal_(ordinal), capacity_(capacity),
      recent_(uint64_t(recent.bytes)), staged_(uint64_t(recent.bytes)),
      page_addresses_(uint64_t(PageLayout::pages(capacity)) * sizeof(uint8_t *)) {
    publish(0);
}

void Sequence::publish(uint32_t position) {
    bytes_.store(pages_.pages().size() * pages_.pool().page_bytes() + recent_.bytes() +
                     staged_.bytes() + page_addresses_.bytes(),
                 std::memory_order_relaxed);
    position_.store(position, std::memory_order_release);
}

uint64_t Sequence::snapshot_bytes() const { return ds4::snapshot_bytes(pages_.pool(), position()); }
uint32_t Sequence::max_partial_step() const { return pages_.pool().layout.max_partial_step(); }

void Sequence::reset() {
    pages_.clear(); // rows of the rings are written again before they are read
    publish(0);
}

void Sequence::reserve(uint32_t count, device::Stream &stream) {
    const int64_t begin = position(), end = begin + count;
    pages_.pool().check_room(pages_.missing_bytes(begin, end), end);
    pages_.make_writable(begin, end);
    const size_t wanted = pages_.pages().size();
    uploaded_.resize(wanted, nullptr);
    for (size_t i = 0; i < wanted; i++) {
        uint8_t *page = pages_.page(int64_t(i));
        if (uploaded_[i] == page) continue;
        uploaded_[i] = page;
        stream.to_device(page_addresses_.as<uint8_t *>() + i, &page, sizeof page);
    }
}

kernels::SequenceEntry Sequence::entry(int32_t first_row, int32_t count) const {
    return {int32_t(position()),
            first_row,
            count,
            int32_t(uploaded_.size()),
            page_addresses_.as<uint8_t *>(),
            recent_.data(),
            staged_.data()};
}

void Sequence::check_kept(uint32_t count, uint32_t kept) const {
    if (kept == 0 || kept == count || (kept < count && count <= max_partial_step())) return;
    fail(DS4_ERR_ARGUMENT,
         "%u tokens of a step of %u cannot be kept: all can, none can, and some of a step of at "
         "most %u tokens",
         kept, count, max_partial_step());
}

void Sequence::advance(const int32_t *tokens, uint32_t kept) {
    const uint32_t begin = position();
    pages_.write_tokens(begin, tokens, kept);
    publish(begin + kept);
}

// Calls visit(address in the rings, bytes) for the recent rows after n tokens, in the order of a
// mark. Rows that lie one after another come as one run.
template <typename Visit> void Sequence::each_recent_run(uint32_t n, const Visit &visit) const {
    const CacheLayout &layout = pages_.pool().layout;
    for (int l = 0; l < layout.shape.layers; l++)
        for (const RecentSection &section :
             recent_sections(layout, layout.shape.layer[size_t(l)], n)) {
            const kernels::RingLayout &ring = recent_layout_.ring(l, section.rows);
            DS4_ASSERT(section.row_bytes == ring.row_bytes && section.count <= ring.slots);
            for (int64_t done = 0; done < section.count;) {
                const int64_t slot = (section.first + done) % ring.slots,
                              rows = std::min(section.count - done, ring.slots - slot);
                visit(recent_.data() + ring.offset + slot * ring.row_bytes,
                      uint64_t(rows * ring.row_bytes));
                done += rows;
            }
        }
}

std::shared_ptr<const Mark> Sequence::mark() {
    device::use(ordinal_);
    PagePool &pool = pages_.pool();
    const uint32_t n = position();
    const uint64_t bytes = recent_bytes(pool.layout, n);
    pool.check_room(bytes, n);
    CacheBlock recent(pool.shared_from_this(), bytes);
    uint8_t *cursor = recent.data();
    each_recent_run(n, [&](const uint8_t *rows, uint64_t run) {
        stream_.on_device(cursor, rows, run);
        cursor += run;
    });
    DS4_ASSERT(cursor == recent.data() + bytes);
    stream_.wait();
    return std::make_shared<Mark>(pool.shared_from_this(), n, pages_.share(n), std::move(recent));
}

void Sequence::resume(const Mark &mark) {
    if (&mark.pool() != &pages_.pool())
        fail(DS4_ERR_ARGUMENT, "the mark belongs to another engine; open the session in its own");
    if (mark.position() > capacity_)
        fail(DS4_ERR_CONTEXT_FULL, "the mark is at position %u; the session's context is %u",
             mark.position(), capacity_);
    device::use(ordinal_);
    pages_.assume(mark.pages());
    const uint8_t *cursor = mark.recent();
    each_recent_run(mark.position(), [&](uint8_t *rows, uint64_t run) {
        stream_.on_device(rows, cursor, run);
        cursor += run;
    });
    stream_.wait();
    publish(mark.position());
}

void Sequence::cut(const Mark &mark) {
    if (!mark.begins(pages_, position()))
        fail(DS4_ERR_ARGUMENT,
             "the session, at position %u, has not passed the mark at position %u; open a session "
             "from the mark",
             position(), mark.position());
    resume(mark);
}

} // namespace ds4::cuda
