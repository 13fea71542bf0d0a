// A token's result must not depend on the threads, the parts, or the tokens that share its call.
#include <cstring>

#include "api/test_layer.h"
#include "base/test.h"
#include "experts/forward/sum_tree.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

namespace {

struct Problem {
    Shape shape;
    int tokens;
    std::vector<CanonicalExpert> experts;
    std::vector<float> input, weights;
    std::vector<int32_t> ids;
};

// Some routes are skipped, some experts repeat within a token, and one is much busier than the
// others.
Problem make_problem(const Shape &shape, int tokens) {
    Problem made{shape,
                 tokens,
                 random_experts(shape.experts, shape.hidden, shape.intermediate, 31),
                 random_values(size_t(tokens) * size_t(shape.hidden), 1.0f, 32),
                 random_values(size_t(tokens) * size_t(shape.experts_per_token), 0.5f, 33),
                 {}};
    for (int slot = 0; slot < tokens * shape.experts_per_token; slot++) {
        int id = (slot * 5 + slot / 7) % shape.experts;
        if (slot % 4 == 1) id = 2;
        if (slot % 13 == 6) id = -1;
        made.ids.push_back(id);
    }
    return made;
}

// The call cut into pieces of the given sizes, which repeat.
std::vector<float> in_pieces(TestLayer &layer, const Problem &given,
                             const std::vector<int> &sizes) {
    std::vector<float> out;
    for (int at = 0, piece = 0; at < given.tokens; piece++) {
        const int count = std::min(sizes[size_t(piece) % sizes.size()], given.tokens - at);
        const std::vector<float> part =
            layer.forward(count, given.input.data() + size_t(at) * size_t(given.shape.hidden),
                          given.ids.data() + at * given.shape.experts_per_token,
                          given.weights.data() + at * given.shape.experts_per_token);
        out.insert(out.end(), part.begin(), part.end());
        at += count;
    }
    return out;
}

int differing(const std::vector<float> &a, const std::vector<float> &b) {
    int count = a.size() == b.size() ? 0 : 1;
    for (size_t i = 0; i < std::min(a.size(), b.size()); i++)
        count += std::memcmp(&a[i], &b[i], sizeof(float)) != 0 ? 1 : 0;
    return count;
}

void check_invariance(const char *isa, const char *numerics, const Problem &given,
                      const std::vector<int> &parts_tried) {
    std::vector<float> first;
    for (int parts : parts_tried)
        for (int threads : {1, 2, 3, 11}) {
            if ((threads < parts && threads != 1) || (threads == 2 && parts > 1)) continue;
            TestLayer layer(options_for(isa, numerics, parts, std::max(threads, parts)),
                            given.shape, given.experts);
            CHECK(layer.ready);
            for (const std::vector<int> &sizes :
                 {std::vector<int>{given.tokens}, {1}, {2, 3, 17}, {33, 4}}) {
                const std::vector<float> got = in_pieces(layer, given, sizes);
                if (first.empty()) first = got;
                if (const int count = differing(first, got); count != 0)
                    ds4::test::record(__FILE__, __LINE__,
                                      std::string(isa) + " " + numerics + " parts " +
                                          std::to_string(parts) + " threads " +
                                          std::to_string(threads) + " pieces of " +
                                          std::to_string(sizes[0]) + ": " + std::to_string(count) +
                                          " values differ");
            }
        }
}

} // namespace

TEST("threads, parts and batches leave every bit of a result as it is") {
    const Problem eight_chunks = make_problem({6, 3, 128, 1024}, 47),
                  five_chunks = make_problem({5, 2, 128, 640}, 40);
    for (const char *isa : usable_isas())
        for (const char *numerics : {"int8", "bf16", "fp8ref"}) {
            if (std::string(isa) == "amx") continue; // below
            const bool plain =
                std::string(isa) == "generic"; // slow, and the same code above the kernels
            check_invariance(isa, numerics, eight_chunks,
                             plain ? std::vector<int>{1, 4} : std::vector<int>{1, 2, 4, 8});
            if (!plain) check_invariance(isa, numerics, five_chunks, {1, 3, 5});
        }
}

TEST("scales too large or small to fold leave results independent of the batch") {
    Problem given = make_problem({6, 3, 128, 1024}, 47);
    given.experts[1].scales[0][3] = 1; // refuses folding for the whole layer
    for (const char *isa : usable_isas())
        check_invariance(isa, "bf16", given, {1, 4}); // tile kernels need scales that fold
}

TEST("tile kernels: threads leave every bit as it is, and without them batches do") {
    const Problem given = make_problem({6, 3, 128, 1024}, 47);
    const char *best = usable_isas().back();
    for (const char *numerics : {"int8", "bf16", "fp8ref"})
        for (int parts : {1, 3}) {
            std::vector<float> first, without;
            for (int threads :
                 {parts, 2 * parts,
                  5 * parts}) { // parts of as many channels: a part's sums are chains here
                const std::string options = options_for(best, numerics, parts, threads);
                TestLayer layer(options, given.shape, given.experts);
                const std::vector<float> got = in_pieces(layer, given, {given.tokens});
                if (first.empty()) first = got;
                CHECK(differing(first, got) == 0);
                TestLayer plain(options.substr(0, options.size() - 1) + ",\"tile_tokens\":0}",
                                given.shape, given.experts);
                for (int size : {given.tokens, 5}) {
                    const std::vector<float> piece = in_pieces(plain, given, {size});
                    if (without.empty()) without = piece;
                    CHECK(differing(without, piece) == 0);
                }
            }
        }
}

TEST("a sum tree over any division of the chunks has the same nodes at the end") {
    for (int chunks : {1, 2, 5, 7, 16, 24, 31})
        for (int cut = 0; cut <= chunks; cut++) {
            int next = 0;
            for (const auto &[begin, end] : {std::pair{0, cut}, {cut, chunks}})
                for (const SumNode &node : sum_nodes(begin, end)) {
                    CHECK(node.first == next && node.first % node.chunks() == 0);
                    next += node.chunks();
                }
            CHECK(next == chunks);
        }
}
