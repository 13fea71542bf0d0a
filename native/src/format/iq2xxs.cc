#include "format/iq2xxs.h"

namespace ds4 {

namespace {

constexpr uint64_t expand(uint16_t levels) {
    constexpr uint8_t kCoordinate[4] = {8, 25, 43, 0};
    uint64_t row = 0;
    for (int k = 0; k < 8; k++) row |= uint64_t(kCoordinate[(levels >> (2 * k)) & 3]) << (8 * k);
    return row;
}

constexpr Iq2XxsGrid make_grid() {
    Iq2XxsGrid grid{};
    for (int i = 0; i < 256; i++) grid.rows[i] = expand(kIq2XxsLevels.rows[i]);
    return grid;
}

constexpr Iq2XxsSigns make_signs() {
    Iq2XxsSigns signs{};
    for (uint32_t i = 0; i < 128; i++) {
        signs.masks[i] = iq2xxs_signs(i);
        for (int k = 0; k < 8; k++)
            signs.factors[i] |= uint64_t((signs.masks[i] >> k) & 1 ? 0xff : 0x01) << (8 * k);
    }
    return signs;
}

} // namespace

constinit const Iq2XxsGrid kIq2XxsGrid = make_grid();
constinit const Iq2XxsSigns kIq2XxsSigns = make_signs();

} // namespace ds4
