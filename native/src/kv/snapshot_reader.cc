#include "kv/snapshot_reader.h"

#include <algorithm>
#include <cstring>

#include "base/fail.h"
#include "ds4.h"
#include "kv/recent_rows.h"

namespace ds4 {

uint64_t SnapshotReader::wanted() const {
    if (!header_) return SnapshotHeader::kBytes;
    if (region_ == snapshot_region_count(header_->tokens)) return 0;
    return snapshot_region_bytes(*pool_, header_->tokens, region_);
}

void SnapshotReader::write(std::span<const uint8_t> bytes) {
    if (failed_) fail(DS4_ERR_FORMAT, "the snapshot was refused; begin again with a whole one");
    failed_ = true; // unless everything below succeeds
    while (!bytes.empty()) {
        const uint64_t size = wanted();
        if (size == 0)
            fail(DS4_ERR_FORMAT, "bytes follow the snapshot, which ends after %llu",
                 (unsigned long long)taken_);
        if (partial_.empty() && bytes.size() >= size) {
            take(bytes.first(size));
            bytes = bytes.subspan(size);
            continue;
        }
        const size_t part = std::min(bytes.size(), size_t(size - partial_.size()));
        partial_.insert(partial_.end(), bytes.begin(), bytes.begin() + std::ptrdiff_t(part));
        bytes = bytes.subspan(part);
        if (partial_.size() < size) continue;
        take(partial_);
        partial_.clear();
    }
    failed_ = false;
}

void SnapshotReader::take(std::span<const uint8_t> region) {
    if (!header_)
        take_header(region);
    else if (region_ + 1 < snapshot_region_count(header_->tokens))
        take_page(region);
    else {
        check_sum(region);
        recent_ = CacheBlock(pool_, region.size() - kChecksumBytes);
        pool_->memory().write(recent_.data(), region.data(), recent_.bytes());
    }
    region_++;
    taken_ += region.size();
}

void SnapshotReader::check_sum(std::span<const uint8_t> region) const {
    const std::span<const uint8_t> rows = region.first(region.size() - kChecksumBytes);
    uint64_t sum;
    std::memcpy(&sum, rows.data() + rows.size(), sizeof sum);
    if (sum != region_checksum(rows, region_))
        fail(DS4_ERR_FORMAT,
             "the snapshot is damaged: the checksum of region %u, bytes %llu..%llu, does not fit",
             region_, (unsigned long long)taken_, (unsigned long long)(taken_ + region.size() - 1));
}

void SnapshotReader::take_header(std::span<const uint8_t> region) {
    const SnapshotHeader header = SnapshotHeader::read(region);
    if (header.identity.numerics != pool_->identity.numerics)
        fail(DS4_ERR_FORMAT, "the snapshot was made with %s; this engine computes with %s",
             describe_numerics(header.identity.numerics).c_str(),
             describe_numerics(pool_->identity.numerics).c_str());
    if (header.identity.model != pool_->identity.model)
        fail(DS4_ERR_FORMAT, "the snapshot was made by another model: its weights or its shape "
                             "differ from those of this engine's");
    if (header.tokens > max_tokens_)
        fail(DS4_ERR_CONTEXT_FULL, "the snapshot holds %u tokens; there is room for %u",
             header.tokens, max_tokens_);
    const uint64_t expected = snapshot_bytes(*pool_, header.tokens);
    if (header.bytes != expected)
        fail(DS4_ERR_FORMAT, "a snapshot of %u tokens takes %llu bytes; this one says %llu",
             header.tokens, (unsigned long long)expected, (unsigned long long)header.bytes);
    const uint64_t pages = uint64_t(PageLayout::pages(header.tokens));
    pool_->check_room(pages * pool_->page_bytes() + recent_bytes(pool_->layout, header.tokens),
                      header.tokens);
    header_ = header;
}

void SnapshotReader::take_page(std::span<const uint8_t> region) {
    check_sum(region);
    const int64_t first = int64_t(region_ - 1) * PageLayout::kTokens,
                  tokens = std::min(PageLayout::kTokens, int64_t(header_->tokens) - first);
    std::shared_ptr<Page> page = pool_->allocate(0);
    std::memcpy(page->tokens.data(), region.data(), size_t(tokens) * sizeof(int32_t));
    for (int64_t i = 0; i < tokens; i++)
        if (const int32_t token = page->tokens[size_t(i)];
            token < 0 || token >= pool_->layout.shape.vocab)
            fail(DS4_ERR_FORMAT,
                 "the snapshot holds token id %d at position %lld; the vocabulary has %d", token,
                 (long long)(first + i), pool_->layout.shape.vocab);
    const uint8_t *cursor = region.data() + tokens * int64_t(sizeof(int32_t));
    pool_->pages.each_filled(tokens, [&](int64_t offset, int64_t bytes) {
        pool_->memory().write(page->rows.data() + offset, cursor, uint64_t(bytes));
        cursor += bytes;
    });
    pages_.push_back(std::move(page));
}

std::shared_ptr<const Mark> SnapshotReader::finish() {
    if (failed_ || wanted() != 0)
        fail(DS4_ERR_FORMAT, "the snapshot ends after %llu bytes of %llu",
             (unsigned long long)(taken_ + partial_.size()),
             (unsigned long long)(header_ ? header_->bytes : SnapshotHeader::kBytes));
    failed_ = true; // it has given its mark
    return std::make_shared<Mark>(pool_, header_->tokens, std::move(pages_), std::move(recent_));
}

} // namespace ds4
