#include "backend/cpu/workspace.h"

#include "backend/cpu/buffer.h"
#include "base/test.h"

using namespace ds4::cpu;

TEST("memory that no step of a review needed is given back, and what they need stays in place") {
    Workspace workspace;
    Buffer rows(&workspace), table(&workspace);
    const auto step = [&](int64_t tokens) {
        uint8_t *data = rows.get<uint8_t>(tokens << 20);
        table.get<float>(100);
        workspace.end_step();
        return data;
    };
    step(40);
    CHECK(workspace.bytes() == rows.bytes() + table.bytes());
    const uint64_t full = workspace.bytes();
    CHECK(rows.bytes() >= 40u << 20);
    // One large step in each review keeps the memory, however small the others are.
    for (int i = 0; i < 4 * Workspace::kReviewSteps; i++) {
        step(i % Workspace::kReviewSteps == 5 ? 40 : 1);
        CHECK(workspace.bytes() == full);
    }
    // Then a review without one gives it back, once: decoding finds its memory every time.
    int moves = 0;
    const uint8_t *place = nullptr;
    for (int i = 0; i < 4 * Workspace::kReviewSteps; i++) {
        const uint8_t *now = step(1);
        moves += place != nullptr && now != place ? 1 : 0;
        place = now;
    }
    CHECK(moves == 1);
    CHECK(rows.bytes() < 2u << 20 && workspace.bytes() == rows.bytes() + table.bytes());
    workspace.release();
    CHECK(workspace.bytes() == 0 && rows.bytes() == 0);
    CHECK(step(3)[0] >= 0 && workspace.bytes() > 3u << 20);
}

TEST("a workspace counts the buffers of workers and forgets those that are gone") {
    Workspace workspace;
    Buffer one(&workspace);
    one.get<char>(1000);
    {
        std::deque<Buffer> each = worker_buffers(&workspace, 3);
        for (Buffer &buffer : each) buffer.get<char>(5000);
        CHECK(workspace.bytes() == one.bytes() + 3 * each[0].bytes());
    }
    CHECK(workspace.bytes() == one.bytes());
    workspace.release();
    Buffer loose;
    CHECK(loose.get<char>(10) != nullptr && workspace.bytes() == 0);
}
