#include "backend/cpu/kernels/tile_attention.h"

namespace ds4::cpu {

int64_t tile_scratch_bytes(int64_t rows, int64_t dim) {
    constexpr int64_t kTerms = 3, kGroups = kMaxTiledHeads / kTileHeads, kTileBytes = 1024;
    const int64_t query = kGroups * dim / 32 * kTerms * kTileBytes,
                  chunk = kChunkRows * kMaxTiledHeads * 4 + kGroups * kTerms * kTileBytes + 64;
    return query + (rows + kChunkRows - 1) / kChunkRows * chunk;
}

const TileAttention *tile_attention(Isa isa, const KvRowFormat &format) {
    const bool fits = format.storage == RowStorage::packed && format.rotary % 32 == 0 &&
                      (format.channels - format.rotary) % 64 == 0;
    return isa >= Isa::avx512 && fits && machine::has(Isa::amx) ? &kTileAttentionAmx : nullptr;
}

} // namespace ds4::cpu
