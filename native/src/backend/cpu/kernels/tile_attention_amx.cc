#include "backend/cpu/kernels/tile_attention.h"

#include "backend/cpu/kernels/e4m3_bf16.h"
#include "backend/cpu/kernels/intrinsics.h"
#include "backend/cpu/kernels/tile_registers.h"
#include "base/exp_minus_avx512.h"
#include "format/scalar.h"

namespace ds4::cpu {
namespace {

constexpr int kTerms = 3;
constexpr int kScaleChannels = 64; // channels of a packed row that share a scale
constexpr int64_t kTileBytes = 1024, kTermsBytes = kTerms * kTileBytes;
constexpr int64_t kScoreStride = kMaxTiledHeads * sizeof(float); // of a row: its heads

// ---- rows ----

// Where a row lies in its chunk. A value shares 32 bits with that of the other row of its pair.
struct RowPlace {
    uint8_t *key, *values;
    __mmask32 words; // of the row among those of a pair
    bool is_second;

    RowPlace(uint8_t *chunks, int64_t index, int64_t dim) {
        uint8_t *chunk = chunks + index / kChunkRows * tiled_rows_bytes(kChunkRows, dim);
        const int64_t row = index % kChunkRows;
        key = chunk + row * tile_key_stride(dim);
        values = chunk + kChunkRows * tile_key_stride(dim) + row / 2 * tile_pair_stride(dim);
        is_second = row % 2 != 0;
        words = is_second ? 0xaaaaaaaau : 0x55555555u;
    }
    void put_values(int64_t channel, __m256i values16) const {
        __m512i wide = _mm512_cvtepu16_epi32(values16);
        if (is_second) wide = _mm512_slli_epi32(wide, 16);
        _mm512_mask_storeu_epi16(values + channel * 4, words, wide);
    }
    // 32 channels. A value that is not finite is 0, since rows that a query does not see have
    // weight 0. The score of one that it sees is NaN by the key.
    void put(int64_t channel, __m512i bf16) const {
        _mm512_storeu_si512(key + channel * 2, bf16);
        const __m512i exponent = _mm512_set1_epi16(0x7f80);
        const __m512i kept = _mm512_maskz_mov_epi16(
            _mm512_cmpneq_epi16_mask(_mm512_and_si512(bf16, exponent), exponent), bf16);
        put_values(channel, _mm512_castsi512_si256(kept));
        put_values(channel + 16, _mm512_extracti64x4_epi64(kept, 1));
    }
};

// Channels 0..31 and 32..63 of a group whose scale the tables lack.
void decode_by_value(const uint8_t *codes, uint8_t scale, __m512i *halves) {
    alignas(64) uint16_t words[kScaleChannels];
    for (int i = 0; i < kScaleChannels; i++)
        words[i] = f32_to_bf16(e4m3_to_f32(codes[i]) * e8m0_to_f32(scale));
    halves[0] = _mm512_load_si512(words), halves[1] = _mm512_load_si512(words + 32);
}

void load_row(const KvRowFormat &format, const uint8_t *row, uint8_t *chunks, int64_t index) {
    const RowPlace place(chunks, index, format.channels);
    const int codes = format.channels - format.rotary;
    // The decoder puts together the first halves of 128 bits, then the second ones.
    const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
    for (int g = 0; g < codes / kScaleChannels; g++) {
        const uint8_t *from = row + g * kScaleChannels, scale = row[codes + g];
        __m512i halves[2];
        if (scale >= kLeastStripScale && scale <= kLargestStripScale)
            E4m3Decoder(scale).decode(_mm512_permutexvar_epi64(order, _mm512_loadu_si512(from)),
                                      halves);
        else
            decode_by_value(from, scale, halves);
        place.put(g * kScaleChannels, halves[0]);
        place.put(g * kScaleChannels + 32, halves[1]);
    }
    const uint8_t *tail = row + format.bytes() - format.rotary * 2;
    for (int i = 0; i < format.rotary; i += 32)
        place.put(codes + i, _mm512_loadu_si512(tail + i * 2));
}

void clear_row(const KvRowFormat &format, uint8_t *chunks, int64_t index) {
    const RowPlace place(chunks, index, format.channels);
    for (int i = 0; i < format.channels; i += 32) place.put(i, _mm512_setzero_si512());
}

// ---- operands in f32 as three bf16 terms ----

// Rows and columns of 16 x 16 words of 32 bits change places.
inline void transpose(__m512i (&rows)[16]) {
    __m512i t[16];
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        const __m512i a = _mm512_unpacklo_epi32(rows[i], rows[i + 1]),
                      b = _mm512_unpackhi_epi32(rows[i], rows[i + 1]),
                      c = _mm512_unpacklo_epi32(rows[i + 2], rows[i + 3]),
                      d = _mm512_unpackhi_epi32(rows[i + 2], rows[i + 3]);
        t[i] = _mm512_unpacklo_epi64(a, c), t[i + 1] = _mm512_unpackhi_epi64(a, c);
        t[i + 2] = _mm512_unpacklo_epi64(b, d), t[i + 3] = _mm512_unpackhi_epi64(b, d);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const __m512i a = _mm512_shuffle_i32x4(t[i], t[i + 4], 0x88),
                      b = _mm512_shuffle_i32x4(t[i], t[i + 4], 0xdd),
                      c = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0x88),
                      d = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0xdd);
        rows[i] = _mm512_shuffle_i32x4(a, c, 0x88), rows[i + 8] = _mm512_shuffle_i32x4(a, c, 0xdd);
        rows[i + 4] = _mm512_shuffle_i32x4(b, d, 0x88);
        rows[i + 12] = _mm512_shuffle_i32x4(b, d, 0xdd);
    }
}

// 32 values as terms: each takes the 8 upper bits of the significand that is left.
inline void split(__m512 first, __m512 second, __m512i (&terms)[kTerms]) {
    const __m512 upper = _mm512_castsi512_ps(_mm512_set1_epi32(int(0xffff0000u)));
    alignas(64) static constexpr uint16_t kUpperWords[32] = {
        1,  3,  5,  7,  9,  11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31,
        33, 35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 63};
    const __m512i words = _mm512_load_si512(kUpperWords);
#pragma GCC unroll 3
    for (int t = 0; t < kTerms; t++) {
        terms[t] = _mm512_permutex2var_epi16(_mm512_castps_si512(first), words,
                                             _mm512_castps_si512(second));
        first = _mm512_sub_ps(first, _mm512_and_ps(first, upper));
        second = _mm512_sub_ps(second, _mm512_and_ps(second, upper));
    }
}

// The query of a group of heads: for every 32 channels and term a tile of 16 pairs by 16 heads.
void pack_query(const TiledQuery &query, int64_t group, uint8_t *out) {
    const int64_t first = group * kTileHeads,
                  heads = query.heads - first < kTileHeads ? query.heads - first : kTileHeads;
    for (int64_t k = 0; k < query.dim; k += 32, out += kTermsBytes) {
        __m512i terms[kTerms][16] = {};
        for (int64_t h = 0; h < heads; h++) {
            const float *q = query.q + (first + h) * query.dim + k;
            __m512i of_head[kTerms];
            split(_mm512_loadu_ps(q), _mm512_loadu_ps(q + 16), of_head);
            for (int t = 0; t < kTerms; t++) terms[t][h] = of_head[t];
        }
        for (int t = 0; t < kTerms; t++) {
            transpose(terms[t]);
            for (int i = 0; i < 16; i++)
                _mm512_store_si512(out + t * kTileBytes + i * 64, terms[t][i]);
        }
    }
}

// ---- one call ----

// A chunk whose rows begin..end-1 take part.
struct Chunk {
    const uint8_t *keys, *values;
    int64_t begin, end;
};

struct Call {
    const TiledQuery &query;
    int64_t groups, chunks; // of 16 heads, of 32 rows
    const Chunk *chunk;
    uint8_t *query_tiles;  // [groups][dim / 32][terms]
    float *scores;         // [chunks][32][kMaxTiledHeads]
    uint8_t *weight_tiles; // [chunks][groups][terms]: 16 heads by 32 rows
    float *sums;
    int64_t stride;

    const uint8_t *query_tile(int64_t group) const {
        return query_tiles + group * query.dim / 32 * kTermsBytes;
    }
    uint8_t *weights_of(int64_t chunk_index, int64_t group) const {
        return weight_tiles + (chunk_index * kMaxTiledHeads / kTileHeads + group) * kTermsBytes;
    }
};

int64_t add_chunks(const TiledRows &rows, int64_t dim, Chunk *out, int64_t count) {
    if (rows.count == 0) return count;
    const int64_t end = rows.first + rows.count;
    for (int64_t i = rows.first / kChunkRows; i * kChunkRows < end; i++) {
        const uint8_t *chunk = rows.chunks + i * tiled_rows_bytes(kChunkRows, dim);
        const int64_t begin = rows.first - i * kChunkRows, left = end - i * kChunkRows;
        out[count++] = {chunk, chunk + kChunkRows * tile_key_stride(dim), begin > 0 ? begin : 0,
                        left < kChunkRows ? left : kChunkRows};
    }
    return count;
}

// Tiles are columns of chunks, a line in each row, which no prefetcher of the CPU foresees.
constexpr int64_t kChunksAhead = 2;
template <int64_t kRows> inline void prefetch_rows(const uint8_t *place, int64_t stride) {
#pragma GCC unroll 4
    for (int64_t row = 0; row < kRows; row++) __builtin_prefetch(place + row * stride);
}

// Scores of the 32 rows of a chunk with one or two groups of heads.
template <bool kPair> void score_chunk(const Call &call, int64_t index) {
    const int64_t stride = tile_key_stride(call.query.dim);
    const uint8_t *keys = call.chunk[index].keys, *first = call.query_tile(0),
                  *second = call.query_tile(1);
    tile_zero<0>(), tile_zero<1>();
    if constexpr (kPair) tile_zero<2>(), tile_zero<3>();
    const uint8_t *next = index + 1 < call.chunks ? call.chunk[index + 1].keys : keys;
    for (int64_t k = 0; k < call.query.dim / 32; k++) {
        prefetch_rows<kChunkRows>(next + k * 64, stride);
        tile_load<4>(keys + k * 64, stride);
        tile_load<5>(keys + 16 * stride + k * 64, stride);
        for (int64_t t = 0; t < kTerms; t++) {
            const int64_t at = k * kTermsBytes + t * kTileBytes;
            tile_load<6>(first + at, 64);
            tile_dot<0, 4, 6>(), tile_dot<1, 5, 6>();
            if constexpr (kPair) {
                tile_load<7>(second + at, 64);
                tile_dot<2, 4, 7>(), tile_dot<3, 5, 7>();
            }
        }
    }
    float *scores = call.scores + index * kChunkRows * kMaxTiledHeads,
          *lower = scores + 16 * kMaxTiledHeads;
    tile_store<0>(scores, kScoreStride), tile_store<1>(lower, kScoreStride);
    if constexpr (kPair)
        tile_store<2>(scores + kTileHeads, kScoreStride),
            tile_store<3>(lower + kTileHeads, kScoreStride);
}

// Scales the scores of 16 heads, and returns the largest of each with its sink.
__m512 largest_scores(const Call &call, int64_t group, __m512 sinks) {
    const __m512 scale = _mm512_set1_ps(call.query.scale);
    __m512 highest = sinks;
    for (int64_t c = 0; c < call.chunks; c++) {
        float *scores = call.scores + c * kChunkRows * kMaxTiledHeads + group * kTileHeads;
        for (int64_t row = call.chunk[c].begin; row < call.chunk[c].end; row++) {
            float *place = scores + row * kMaxTiledHeads;
            const __m512 score = _mm512_mul_ps(_mm512_load_ps(place), scale);
            _mm512_store_ps(place, score);
            highest = _mm512_max_ps(score, highest); // highest where the score is a NaN
        }
    }
    return highest;
}

__m512 weight_of(__m512 distance) {
    const __mmask16 beyond = _mm512_cmp_ps_mask(distance, _mm512_set1_ps(kExpReach), _CMP_GE_OQ);
    return _mm512_maskz_mov_ps(__mmask16(~beyond), exp_minus_lanes(distance));
}

// Turns scores into tiles of weights and returns the sums of weights, rows in order after the sink.
__m512 soften(const Call &call, int64_t group, __m512 highest, __m512 sinks) {
    __m512 total = weight_of(_mm512_sub_ps(highest, sinks));
    for (int64_t c = 0; c < call.chunks; c++) {
        const Chunk &chunk = call.chunk[c];
        const float *scores = call.scores + c * kChunkRows * kMaxTiledHeads + group * kTileHeads;
        __m512i weights[2][16] = {};
        for (int64_t row = chunk.begin; row < chunk.end; row++) {
            const __m512 score = _mm512_load_ps(scores + row * kMaxTiledHeads),
                         weight = weight_of(_mm512_sub_ps(highest, score));
            weights[row / 16][row % 16] = _mm512_castps_si512(weight);
            total = _mm512_add_ps(total, weight);
        }
        transpose(weights[0]), transpose(weights[1]);
        uint8_t *out = call.weights_of(c, group);
        for (int h = 0; h < kTileHeads; h++) {
            __m512i terms[kTerms];
            split(_mm512_castsi512_ps(weights[0][h]), _mm512_castsi512_ps(weights[1][h]), terms);
            for (int t = 0; t < kTerms; t++)
                _mm512_store_si512(out + t * kTileBytes + h * 64, terms[t]);
        }
    }
    return total;
}

void soften_group(const Call &call, int64_t group) {
    const int64_t first = group * kTileHeads, heads = call.query.heads - first;
    const __mmask16 some = heads < kTileHeads ? __mmask16((1u << heads) - 1) : __mmask16(0xffff);
    const __m512 none = _mm512_set1_ps(-__builtin_inff()),
                 sinks = call.query.sinks == nullptr
                             ? none
                             : _mm512_mask_loadu_ps(none, some, call.query.sinks + first);
    const __m512 highest = largest_scores(call, group, sinks),
                 total = soften(call, group, highest, sinks);
    alignas(64) float largest[kTileHeads], sums[kTileHeads];
    _mm512_store_ps(largest, highest), _mm512_store_ps(sums, total);
    for (int64_t h = 0; h < kTileHeads && h < heads; h++) {
        float *of_head = call.sums + (first + h) * call.stride;
        of_head[0] = largest[h], of_head[1] = sums[h];
    }
}

// The sums of a tile of 16 heads by 16 channels, of which `heads` count.
template <int t> void write_sums(const Call &call, int64_t group, int64_t channel) {
    const int64_t heads = call.query.heads - group * kTileHeads;
    float *out = call.sums + group * kTileHeads * call.stride + 2 + channel;
    if (heads >= kTileHeads) return tile_store<t>(out, call.stride * 4);
    alignas(64) float sums[kTileHeads * 16];
    tile_store<t>(sums, 64);
    for (int64_t h = 0; h < heads; h++)
        _mm512_storeu_ps(out + h * call.stride, _mm512_load_ps(sums + h * 16));
}

// The weighted sums of 32 channels of one or two groups of heads.
template <bool kPair> void weigh_channels(const Call &call, int64_t channel) {
    const int64_t stride = tile_pair_stride(call.query.dim);
    tile_zero<0>(), tile_zero<1>();
    if constexpr (kPair) tile_zero<2>(), tile_zero<3>();
    for (int64_t c = 0; c < call.chunks; c++) {
        const uint8_t *values = call.chunk[c].values + channel * 4, *first = call.weights_of(c, 0),
                      *second = call.weights_of(c, 1);
        const int64_t ahead = c + kChunksAhead < call.chunks ? c + kChunksAhead : c;
        prefetch_rows<kChunkRows / 2>(call.chunk[ahead].values + channel * 4, stride);
        prefetch_rows<kChunkRows / 2>(call.chunk[ahead].values + channel * 4 + 64, stride);
        tile_load<6>(values, stride);
        tile_load<7>(values + 64, stride);
        for (int64_t t = 0; t < kTermsBytes; t += kTileBytes) {
            tile_load<4>(first + t, 64);
            tile_dot<0, 4, 6>(), tile_dot<1, 4, 7>();
            if constexpr (kPair) {
                tile_load<5>(second + t, 64);
                tile_dot<2, 5, 6>(), tile_dot<3, 5, 7>();
            }
        }
    }
    write_sums<0>(call, 0, channel), write_sums<1>(call, 0, channel + 16);
    if constexpr (kPair) write_sums<2>(call, 1, channel), write_sums<3>(call, 1, channel + 16);
}

template <bool kPair> void run(const Call &call) {
    configure_tiles(0, 16);
    for (int64_t g = 0; g < call.groups; g++)
        pack_query(call.query, g, call.query_tiles + g * call.query.dim / 32 * kTermsBytes);
    for (int64_t c = 0; c < call.chunks; c++) score_chunk<kPair>(call, c);
    for (int64_t g = 0; g < call.groups; g++) soften_group(call, g);
    for (int64_t channel = 0; channel < call.query.dim; channel += 32)
        weigh_channels<kPair>(call, channel);
    release_tiles();
}

void attend(const TiledQuery &query, const TiledRows &window, const TiledRows &compressed,
            uint8_t *scratch, float *sums, int64_t stride) {
    constexpr int64_t kGroups = kMaxTiledHeads / kTileHeads;
    Call call{query,   (query.heads + kTileHeads - 1) / kTileHeads,
              0,       nullptr,
              scratch, nullptr,
              nullptr, sums,
              stride};
    scratch += kGroups * query.dim / 32 * kTermsBytes;
    Chunk *chunks = reinterpret_cast<Chunk *>(scratch);
    call.chunks = add_chunks(window, query.dim, chunks, 0);
    call.chunks = add_chunks(compressed, query.dim, chunks, call.chunks);
    call.chunk = chunks;
    static_assert(sizeof(Chunk) <= 64);
    scratch += call.chunks * 64;
    call.scores = reinterpret_cast<float *>(scratch);
    scratch += call.chunks * kChunkRows * kScoreStride;
    call.weight_tiles = scratch;
    if (call.groups == 1)
        run<false>(call);
    else
        run<true>(call);
}

} // namespace

const TileAttention kTileAttentionAmx = {load_row, clear_row, attend};

} // namespace ds4::cpu
