// The rows of one step: which belong to which sequence, and their rotary angles.
#pragma once
#include <cstdint>

namespace ds4::cpu {

class Sequence;

// The new tokens of one sequence within the step's rows.
struct SequenceRows {
    Sequence *sequence;
    int64_t first_row; // index into the step's rows
    int64_t count;
    int64_t position; // of the first token
};

// Rotary angles of all rows, [rows, rope_dim] for each kind of layer.
struct StepAngles {
    const float *window, *compressed;
};

} // namespace ds4::cpu
