#include "moe/read_rate.h"

#include <cstring>
#include <immintrin.h>

#include "moe/turns.h"

namespace ds4::bench {
namespace {

constexpr size_t kLine = 256;           // bytes of one unrolled step
constexpr double kStreamSeconds = 0.02; // least time of one step, whose hand-off takes some 20 us

// Past the end of a mapping a prefetch does nothing.
inline void prefetch(const uint8_t *data) {
    for (size_t line = 0; line < kLine; line += 64)
        _mm_prefetch(reinterpret_cast<const char *>(data + line), _MM_HINT_T0);
}

// Reads with the widest loads of this CPU. 16-byte loads reach 24 GB/s where 64-byte ones reach 39
// (Zen 5, one core).
__attribute__((target("avx512f"))) void read_avx512(const uint8_t *data, size_t bytes,
                                                    size_t ahead) {
    __m512i sums[4] = {};
    for (size_t at = 0; at < bytes; at += kLine) {
        if (ahead > 0) prefetch(data + at + ahead);
        for (size_t i = 0; i < 4; i++)
            sums[i] = _mm512_xor_si512(sums[i], _mm512_load_si512(data + at + i * 64));
    }
    const __m512i all =
        _mm512_xor_si512(_mm512_xor_si512(sums[0], sums[1]), _mm512_xor_si512(sums[2], sums[3]));
    volatile int64_t sink = _mm_cvtsi128_si64(_mm512_castsi512_si128(all)); // keeps the loads
    (void)sink;
}

__attribute__((target("avx2"))) void read_avx2(const uint8_t *data, size_t bytes, size_t ahead) {
    __m256i sums[4] = {};
    for (size_t at = 0; at < bytes; at += kLine) {
        if (ahead > 0) prefetch(data + at + ahead);
        for (size_t i = 0; i < 8; i++)
            sums[i % 4] = _mm256_xor_si256(
                sums[i % 4],
                _mm256_load_si256(reinterpret_cast<const __m256i *>(data + at + i * 32)));
    }
    const __m256i all =
        _mm256_xor_si256(_mm256_xor_si256(sums[0], sums[1]), _mm256_xor_si256(sums[2], sums[3]));
    volatile int64_t sink = _mm_cvtsi128_si64(_mm256_castsi256_si128(all));
    (void)sink;
}

// This worker's share of [data, data + bytes).
void read_share(const uint8_t *data, size_t bytes, size_t ahead, const ktb::Worker &worker) {
    const size_t lines = bytes / kLine,
                 begin = lines * size_t(worker.global_index) / size_t(worker.workers);
    const size_t end = lines * (size_t(worker.global_index) + 1) / size_t(worker.workers);
    (__builtin_cpu_supports("avx512f") ? read_avx512 : read_avx2)(data + begin * kLine,
                                                                  (end - begin) * kLine, ahead);
}

} // namespace

ReadMemory::ReadMemory(size_t bytes) : memory_(bytes, {}) {
    std::memset(memory_.data(), 1, memory_.bytes());
}

void ReadMemory::choose_ahead(int threads, int parts, double seconds) {
    double best = 0;
    size_t chosen = 0;
    for (const size_t candidate : {size_t(0), size_t(2048), size_t(8192)}) {
        ahead = candidate;
        const double rate = Reader(*this, threads, parts).stream(seconds);
        if (rate > best) best = rate, chosen = candidate;
    }
    ahead = chosen;
}

void Reader::read(size_t bytes) {
    bytes = std::min(bytes, memory_.bytes()) / kLine * kLine;
    if (at_ + bytes > memory_.bytes()) at_ = 0;
    const uint8_t *data = memory_.data() + at_;
    at_ += (bytes + 4095) / 4096 * 4096;
    runner_.run([&](const ktb::Worker &worker) { read_share(data, bytes, memory_.ahead, worker); });
}

double Reader::stream(double seconds) {
    size_t passes = 1;
    const auto step = [&](const ktb::Worker &worker) {
        for (size_t pass = 0; pass < passes; pass++)
            read_share(memory_.data(), memory_.bytes(), memory_.ahead, worker);
    };
    runner_.run(step);
    passes = size_t(kStreamSeconds / seconds_of([&] { runner_.run(step); })) + 1;
    const std::vector<Samples> samples =
        take_turns({{[&] { runner_.run(step); }}}, {seconds, 5, 1, 0});
    return double(passes * memory_.bytes()) / samples[0].first_decile();
}

} // namespace ds4::bench
