// Packs canonical matrices of one expert into the records of a slot, in pieces that stay in cache.
// Pieces are independent: any threads may take them in any order.
#pragma once
#include <cstdint>

#include "experts/weights/packed_weights.h"
#include "experts/loading/expert_source.h"

namespace ds4::ktb {

class ExpertPacker {
  public:
    // The source and the layout must outlive it.
    ExpertPacker(const ExpertSource &source, int expert, const LayerLayout &layout);
    int pieces() const { return input_pieces_ + down_pieces_; }
    // Both read a piece and return whether its scales fold (Slot::folds). They throw for a value or
    // scale that is no number. staging: staging_bytes of the source's shape, at any alignment.
    bool check(int piece, uint8_t *staging) const { return read(piece, staging, nullptr, 0); }
    bool pack(int piece, uint8_t *staging, const PackedWeights &weights, int slot) const {
        return read(piece, staging, &weights, slot);
    }
    static size_t staging_bytes(const SourceShape &shape);

  private:
    struct Rows { // rows [begin, begin + count) of a matrix
        MatrixShape shape;
        int begin, count;
        const uint8_t *codes, *scales;

        void place(int row, const uint8_t *&row_codes, const uint8_t *&row_scales) const {
            row_codes = codes + size_t(row - begin) * shape.row_bytes();
            row_scales = scales == nullptr
                             ? nullptr
                             : scales + size_t(shape.scale_row(row) - shape.scale_row(begin)) *
                                            scale_row_bytes(shape.method, shape.columns);
        }
        bool fold() const;
    };
    bool read(int piece, uint8_t *staging, const PackedWeights *weights, int slot) const;
    Rows read_rows(int matrix, int begin, int count, uint8_t *staging) const;
    void pack_inputs(const Rows &gate, const Rows &up, const PackedWeights &weights,
                     int slot) const;
    void pack_down(const Rows &source, const PackedWeights &weights, int slot) const;

    const ExpertSource &source_;
    int expert_;
    const LayerLayout &layout_;
    int input_pieces_; // of gate and up together
    int down_pieces_;
};

} // namespace ds4::ktb
