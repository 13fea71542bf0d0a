// The vector form of packing against the plain one. decode_test.cc tests the meaning of both.
#include <cstring>
#include <vector>

#include "base/test.h"
#include "experts/loading/packing_mxfp4.h"
#include "kernels/kernels.h"
#include "machine/instruction_sets.h"

using namespace ds4::ktb;
using ds4::Isa;

TEST("codes are packed to the same bytes by every form, and nothing beside them is written") {
    if (!ds4::machine::has(Isa::avx2)) return;
    constexpr size_t kStride = kTileBytes + 192, kWritten = 4 * kStride;
    std::vector<uint8_t> source(size_t(kTileRows) * 70 + kPackPrefetchBytes); // rows at odd places
    for (size_t i = 0; i < source.size(); i++) source[i] = uint8_t((i * 2654435761u) >> 11);
    const uint8_t *codes[kTileRows];
    for (size_t row = 0; row < kTileRows; row++) codes[row] = source.data() + row * 70 + row % 5;
    std::vector<uint8_t> memory(2 * kWritten + 64, 0xa5);
    uint8_t *const plain =
                       memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64,
                   *const wide = plain + kWritten;
    pack_codes_plain(codes, plain, kStride);
    pack_codes_avx2(codes, wide, kStride);
    CHECK(std::memcmp(plain, wide, kWritten) == 0);
    for (size_t tile = 0; tile < 4; tile++)
        for (size_t i = kTileCodeBytes; i < kStride; i++) CHECK(wide[tile * kStride + i] == 0xa5);
}
