#include "experts/loading/expert_packer.h"

#include <algorithm>

#include "experts/loading/packing.h"
#include "kernels/tile_kernels.h"

namespace ds4::ktb {
namespace {

// Bytes of one matrix in a piece. Pieces of gate and up, and the file pages that they are copied
// from, fit 512 KiB of L2.
constexpr int kPieceBytes = 64 << 10;

int piece_rows(size_t row_bytes, int unit, int rows) {
    return std::min(rows, std::max(unit, int(kPieceBytes / row_bytes) / unit * unit));
}

size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

// Canonical rows of one matrix, and the staging that they and their scales may need (see
// ExpertSource).
struct Piece {
    MatrixShape shape;
    int rows;

    int count() const { return (shape.rows + rows - 1) / rows; } // of the matrix
    size_t code_bytes() const { return aligned(size_t(rows) * shape.row_bytes()); }
    size_t scale_bytes() const {
        const size_t bytes = size_t(method_traits(shape.method).scale_bytes);
        return bytes == 0 ? 0
                          : aligned((shape.scales_of_rows(0, rows) + shape.scales_in_row()) *
                                    (bytes + sizeof(float)));
    }
    size_t bytes() const { return code_bytes() + scale_bytes(); }
};

// A piece is whole panels of gate and up, or whole tiles of down.
Piece piece_of(const SourceShape &source, int matrix) {
    const MatrixShape shape = source.of(matrix);
    return {shape, piece_rows(shape.row_bytes(), matrix == kDown ? kTileRows : kGroup, shape.rows)};
}

} // namespace

ExpertPacker::ExpertPacker(const ExpertSource &source, int expert, const LayerLayout &layout)
    : source_(source), expert_(expert), layout_(layout),
      input_pieces_(piece_of(source.shape(), kGate).count()),
      down_pieces_(piece_of(source.shape(), kDown).count()) {}

size_t ExpertPacker::staging_bytes(const SourceShape &shape) {
    return std::max(2 * piece_of(shape, kGate).bytes(), piece_of(shape, kDown).bytes());
}

bool ExpertPacker::Rows::fold() const {
    if (shape.method != Method::mxfp4) return true;
    const auto [lowest, highest] = byte_range(scales, shape.scales_of_rows(begin, count));
    return lowest >= kLeastFoldedScale && highest <= kLargestFoldedScale;
}

// Reads a piece, and packs it unless `weights` is null.
bool ExpertPacker::read(int piece, uint8_t *staging, const PackedWeights *weights, int slot) const {
    const bool is_down = piece >= input_pieces_;
    const Piece all = piece_of(source_.shape(), is_down ? kDown : kGate);
    const int begin = (is_down ? piece - input_pieces_ : piece) * all.rows,
              count = std::min(all.rows, all.shape.rows - begin);
    if (is_down) {
        const Rows rows = read_rows(kDown, begin, count, staging);
        if (weights != nullptr) pack_down(rows, *weights, slot);
        return rows.fold();
    }
    const Rows gate = read_rows(kGate, begin, count, staging),
               up = read_rows(kUp, begin, count, staging + all.bytes());
    if (weights != nullptr) pack_inputs(gate, up, *weights, slot);
    return gate.fold() && up.fold();
}

// Reads and checks rows [begin, begin + count) of a matrix. They lie in `staging` or where the
// source has them.
ExpertPacker::Rows ExpertPacker::read_rows(int matrix, int begin, int count,
                                           uint8_t *staging) const {
    const Piece piece{source_.shape().of(matrix), count};
    Rows rows{piece.shape, begin, count, source_.codes(expert_, matrix, begin, count, staging),
              nullptr};
    check_codes(piece.shape, rows.codes, begin, count, source_.name(expert_, matrix));
    rows.scales = source_.scales(expert_, matrix, begin, count, staging + piece.code_bytes());
    return rows;
}

// 32 rows of gate and 32 of up make the 64 rows of a panel.
void ExpertPacker::pack_inputs(const Rows &gate, const Rows &up, const PackedWeights &weights,
                               int slot) const {
    const Rows *const halves[2] = {&gate, &up};
    for (int first = gate.begin; first < gate.begin + gate.count; first += kGroup) {
        const int slice = first / layout_.slice_channels,
                  panel = first % layout_.slice_channels / kGroup;
        int part = 0;
        while (slice >= layout_.slice_begin[size_t(part) + 1]) part++;
        uint8_t *record = weights.data(part, slot) +
                          size_t(slice - layout_.slice_begin[size_t(part)]) * layout_.record_bytes;
        TileRows rows;
        for (int row = 0; row < kTileRows; row++)
            halves[row / kGroup]->place(first + row % kGroup, rows.codes[row], rows.scales[row]);
        const int tiles = gate.shape.columns / layout_.input_unit;
        pack_strip(gate.shape.method, rows,
                   {0, layout_.input_unit, tiles, record + size_t(panel) * layout_.panel_bytes,
                    layout_.input_tile_bytes});
    }
}

void ExpertPacker::pack_down(const Rows &source, const PackedWeights &weights, int slot) const {
    for (int first = source.begin; first < source.begin + source.count; first += kTileRows) {
        TileRows rows;
        for (int row = 0; row < kTileRows; row++)
            source.place(first + row, rows.codes[row], rows.scales[row]);
        const size_t offset =
            layout_.down_offset + size_t(first / kTileRows) * layout_.down_tile_bytes;
        for (int part = 0; part < layout_.parts(); part++)
            if (layout_.slices(part) > 0)
                pack_strip(source.shape.method, rows,
                           {layout_.slice_begin[size_t(part)] * layout_.slice_channels,
                            layout_.slice_channels, layout_.slices(part),
                            weights.data(part, slot) + offset, layout_.record_bytes});
    }
}

} // namespace ds4::ktb
