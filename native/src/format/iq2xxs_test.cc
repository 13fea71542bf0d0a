#include "base/test.h"
#include "format/iq2xxs.h"

namespace ds4 {

static uint32_t crc32(const uint8_t *bytes, size_t count) {
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0u);
    }
    return ~crc;
}

TEST("the IQ2_XXS grid is the published table") {
    CHECK(crc32(reinterpret_cast<const uint8_t *>("123456789"), 9) == 0xcbf43926u);
    CHECK(crc32(reinterpret_cast<const uint8_t *>(kIq2XxsGrid.rows), sizeof kIq2XxsGrid.rows) ==
          0x9924ff02u);
}

TEST("IQ2_XXS sign masks have even parity and keep their seven bits") {
    constexpr uint8_t kFirst[8] = {0, 129, 130, 3, 132, 5, 6, 135};
    for (uint32_t i = 0; i < 128; i++) {
        CHECK((iq2xxs_signs(i) & 127u) == i);
        CHECK(__builtin_popcount(iq2xxs_signs(i)) % 2 == 0);
        if (i < 8) CHECK(iq2xxs_signs(i) == kFirst[i]);
    }
}

} // namespace ds4
