#include "backend/cpu/first_use.h"

#include <string>
#include <vector>

#include "base/error.h"
#include "base/test.h"
#include "base/thread_pool.h"
#include "ds4.h"

using namespace ds4;
using namespace ds4::cpu;

TEST("of several damaged rows the first is named, with its own defect, whoever finds it") {
    constexpr int64_t kRows = 512, kCols = 128;
    std::vector<uint8_t> codes(size_t(kRows * kCols), 0x38), scales(kRows / 128, 127);
    codes[3 * kCols + 5] = 0x7f; // in the half of worker 0
    scales[2] = 255;             // rows 256..383, in the half of worker 1
    const Matrix matrix{DS4_TYPE_F8_E4M3, kRows, kCols, codes.data(), scales.data()};
    ThreadPool pool(2);
    for (int i = 0; i < 200; i++) {
        FirstUse first_use(pool, 1, 1);
        std::string text;
        try {
            first_use.output(matrix);
        } catch (const Error &error) {
            CHECK(error.status() == DS4_ERR_FORMAT);
            text = error.what();
        }
        CHECK(text.starts_with("output.weight, row 3: an E4M3 value is NaN (0x7f or 0xff);"));
    }
}
