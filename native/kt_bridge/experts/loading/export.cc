#include "experts/loading/export.h"

#include <cstring>

#include "experts/loading/packing.h"

namespace ds4::ktb {
namespace {

constexpr size_t kMaximumScales = (1 << 16) / kGroup; // in a row

MatrixShape matrix_shape(const ExpertLayer &layer, int matrix) {
    return SourceShape{layer.shape, layer.methods, layer.index}.of(matrix);
}

ScaleFormat scale_format(const ExpertLayer &layer, int expert, int matrix) {
    return layer.methods.of(matrix) == Method::mxfp4
               ? ScaleFormat::e8m0
               : layer.weights->slot(layer.weights->slot_of(expert)).scale_formats[matrix];
}

// The place of the first of some row pieces of a tile.
struct Place {
    const uint8_t *tile;
    int tile_row, inputs; // in the tile
    int row, column;      // in the matrix
};

class Exporter {
  public:
    Exporter(const ExpertLayer &layer, int expert, int matrix, uint8_t *codes, uint8_t *scales)
        : shape_(matrix_shape(layer, matrix)), format_(scale_format(layer, expert, matrix)),
          codes_(codes), scales_(scales) {}
    // Exports `rows` rows of a tile from place.tile_row on, which follow each other in the matrix.
    void add_rows(Place place, int rows) const {
        if (shape_.method == Method::mxfp4) return add_mxfp4(place, rows);
        for (int i = 0; i < rows; i++, place.tile_row++, place.row++) add(place);
    }

  private:
    void add(const Place &place) const {
        alignas(64) uint8_t row_scales[kMaximumScales * sizeof(float)];
        unpack_row(shape_.method, place.tile, place.inputs, place.tile_row,
                   codes_ + size_t(place.row) * shape_.row_bytes() +
                       row_bytes(shape_.method, place.column),
                   row_scales);
        const MethodTraits &traits = method_traits(shape_.method);
        if (traits.scale_bytes == 0 || place.row % traits.scale_rows != 0) return;
        if (traits.scale_columns == 0 && place.column != 0) return;
        const size_t count =
            scale_row_bytes(shape_.method, place.inputs) / size_t(traits.scale_bytes);
        const size_t before =
            traits.scale_columns == 0 ? 0 : size_t(place.column / traits.scale_columns);
        const size_t at = size_t(shape_.scale_row(place.row)) * shape_.scales_in_row() + before;
        stored_scales(shape_.method, format_, row_scales, count,
                      scales_ + at * scale_format_bytes(format_));
    }

    // Does the work of unpack_row for tiles of one group without its look-ups for each 16 bytes.
    // That takes 3 to 6 ms for an expert of Flash on a core, instead of 33.
    void add_mxfp4(const Place &place, int rows) const {
        const size_t row_bytes = shape_.row_bytes(), row_scales = shape_.scales_in_row();
        uint8_t *codes = codes_ + size_t(place.row) * row_bytes + size_t(place.column) / 2;
        uint8_t *scales = scales_ + size_t(place.row) * row_scales + size_t(place.column) / kGroup;
        for (int row = place.tile_row; row < place.tile_row + rows;
             row++, codes += row_bytes, scales += row_scales) {
            for (int v = 0; v < 4; v++)
                std::memcpy(codes + v * 4, place.tile + (row / 16 * 4 + v) * 64 + row % 16 * 4, 4);
            *scales = place.tile[kTileCodeBytes + size_t(row)];
        }
    }
    MatrixShape shape_;
    ScaleFormat format_;
    uint8_t *codes_, *scales_;
};

void export_slice(const Exporter &exporter, const ExpertLayer &layer, const uint8_t *record,
                  int matrix, int first_channel) {
    const LayerLayout &layout = layer.layout;
    if (matrix == kDown) {
        for (int row = 0; row < layer.shape.hidden; row += kTileRows)
            exporter.add_rows(
                {record + layout.down_offset + size_t(row / kTileRows) * layout.down_tile_bytes, 0,
                 layout.slice_channels, row, first_channel},
                kTileRows);
        return;
    }
    for (int channel = 0; channel < layout.slice_channels; channel += kGroup) {
        const uint8_t *tile = record + size_t(channel / kGroup) * layout.panel_bytes;
        for (int column = 0; column < layer.shape.hidden;
             column += layout.input_unit, tile += layout.input_tile_bytes)
            exporter.add_rows({tile, matrix == kUp ? kGroup : 0, layout.input_unit,
                               first_channel + channel, column},
                              kGroup);
    }
}

} // namespace

ExportSizes export_sizes(const ExpertLayer &layer, int expert, int matrix) {
    const MatrixShape shape = matrix_shape(layer, matrix);
    if (method_traits(shape.method).scale_bytes == 0) return {size_t(shape.code_bytes()), 0};
    return {size_t(shape.code_bytes()),
            size_t(shape.scale_count()) * scale_format_bytes(scale_format(layer, expert, matrix))};
}

void export_matrix(const ExpertLayer &layer, int expert, int matrix, uint8_t *codes,
                   uint8_t *scales) {
    const Exporter exporter(layer, expert, matrix, codes, scales);
    const LayerLayout &layout = layer.layout;
    for (int part = 0; part < layout.parts(); part++)
        for (int slice = 0; slice < layout.slices(part); slice++)
            export_slice(exporter, layer, layer.record(part, expert, slice), matrix,
                         (layout.slice_begin[size_t(part)] + slice) * layout.slice_channels);
}

} // namespace ds4::ktb
