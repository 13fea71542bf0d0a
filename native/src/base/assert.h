// DS4_ASSERT ends the process on a broken invariant. That is a bug of ours, never the fault of a
// caller or a file.
#pragma once
#include <cstdio>
#include <cstdlib>

#define DS4_ASSERT(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            std::fprintf(stderr, "%s:%d: broken invariant: %s\n", __FILE__, __LINE__, #condition); \
            std::abort();                                                                          \
        }                                                                                          \
    } while (0)
