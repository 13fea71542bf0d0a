#include "experts/weights/layout.h"

#include <algorithm>

namespace ds4::ktb {

LayerLayout::LayerLayout(const LayerMethods &methods, const ExpertLayerShape &shape,
                         const std::vector<int> &part_workers) {
    input_unit = method_traits(methods.gate_up).input_unit;
    if (input_unit == 0) input_unit = shape.hidden;
    input_groups = shape.hidden / kGroup;
    input_tile_groups = input_unit / kGroup;
    input_tile_bytes = tile_bytes(methods.gate_up, input_unit);
    slice_channels = method_traits(methods.down).slice_channels;
    panels = slice_channels / kGroup;
    panel_bytes = size_t(shape.hidden / input_unit) * input_tile_bytes;
    row_tiles = shape.hidden / kTileRows;
    down_tile_bytes = tile_bytes(methods.down, slice_channels);
    down_offset = size_t(panels) * panel_bytes;
    record_bytes = down_offset + size_t(row_tiles) * down_tile_bytes;
    int64_t workers = 0, before = 0;
    for (int count : part_workers) workers += count;
    const int split = std::max(kSplitChannels, slice_channels);
    const int64_t units = shape.intermediate / split;
    for (int count : part_workers) {
        slice_begin.push_back(int(units * before / workers) * (split / slice_channels));
        before += count;
    }
    slice_begin.push_back(shape.intermediate / slice_channels);
}

} // namespace ds4::ktb
