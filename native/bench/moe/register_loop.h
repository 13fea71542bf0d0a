// Assembler text of a loop body of one instruction on independent sums. In C++ the compiler would
// merge equal sums, or keep them in memory.
#pragma once

// Sums lie in registers 0 to 11 or 0 to 15 of a kind ("ymm", "zmm"). Operands lie in 14 and 15 or
// in 30 and 31.
#define DS4_SUM(op, kind, left, right, sum)                                                        \
    op " %%" kind left ", %%" kind right ", %%" kind sum "\n\t"
#define DS4_SUMS4(op, kind, l, r, a, b, c, d)                                                      \
    DS4_SUM(op, kind, l, r, a)                                                                     \
    DS4_SUM(op, kind, l, r, b) DS4_SUM(op, kind, l, r, c) DS4_SUM(op, kind, l, r, d)
#define DS4_SUMS12(op, kind, l, r)                                                                 \
    DS4_SUMS4(op, kind, l, r, "0", "1", "2", "3")                                                  \
    DS4_SUMS4(op, kind, l, r, "4", "5", "6", "7") DS4_SUMS4(op, kind, l, r, "8", "9", "10", "11")
#define DS4_SUMS16(op, kind, l, r)                                                                 \
    DS4_SUMS12(op, kind, l, r) DS4_SUMS4(op, kind, l, r, "12", "13", "14", "15")
#define DS4_SUM_REGISTERS(kind)                                                                    \
    kind "0", kind "1", kind "2", kind "3", kind "4", kind "5", kind "6", kind "7", kind "8",      \
        kind "9", kind "10", kind "11", kind "12", kind "13", kind "14", kind "15"
