// The facts that two engines have in common if the cache rows of one can go on in the other.
// Threads, instruction set, backend and the place of the experts are no part of it.
#pragma once
#include <cstdint>
#include <string>

namespace ds4 {

struct CacheIdentity {
    uint64_t model = 0;    // of shape and weights (model/model_identity.h)
    uint32_t numerics = 0; // sum of the numbers below

    static constexpr uint32_t kF32KvRows = 1, kF32IndexRows = 2, kReducedActivations = 4,
                              kUnclampedSharedExpert = 8;
    bool operator==(const CacheIdentity &) const = default;
};

// For messages: "packed KV rows, packed index rows, reduced activations".
inline std::string describe_numerics(uint32_t numerics) {
    std::string text = numerics & CacheIdentity::kF32KvRows ? "f32 KV rows" : "packed KV rows";
    text += numerics & CacheIdentity::kF32IndexRows ? ", f32 index rows" : ", packed index rows";
    text += numerics & CacheIdentity::kReducedActivations ? ", reduced activations"
                                                          : ", full activations";
    if (numerics & CacheIdentity::kUnclampedSharedExpert) text += ", no clamp of the shared expert";
    return text;
}

} // namespace ds4
