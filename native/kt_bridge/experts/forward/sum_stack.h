// Adds values that arrive as the nodes of a sum tree in order.
#pragma once
#include <cstring>

#include "experts/forward/sum_tree.h"
#include "kernels/kernels.h"

namespace ds4::ktb {

constexpr int kMaximumSumLevels = 16; // 2^16 chunks of an expert

class SumStack {
  public:
    // buffers: [kMaximumSumLevels + 1, count] f32; count a multiple of 64
    SumStack(const Kernels &kernels, float *buffers, int count)
        : kernels_(kernels), buffers_(buffers), count_(count) {}
    // values: [count], kept until the end. The nodes begin at chunk 0 and leave no gap.
    void push(const SumNode &node, const float *values) {
        nodes_[top_] = node, values_[top_] = values;
        top_++;
        while (top_ > 1 && halves_of_one(nodes_[top_ - 2], nodes_[top_ - 1])) {
            merge();
            nodes_[top_ - 1].level++;
        }
    }
    // The sum of all values. The stack is empty afterwards. The result lies in a buffer or is a
    // pushed value.
    const float *total() {
        while (top_ > 1) merge(); // nothing lies beyond the last chunk
        top_ = 0;
        return values_[0];
    }

  private:
    void merge() {
        float *sum = buffers_ + size_t(top_ - 2) * size_t(count_);
        if (values_[top_ - 2] != sum)
            std::memcpy(sum, values_[top_ - 2], size_t(count_) * sizeof(float));
        kernels_.add(values_[top_ - 1], sum, count_);
        values_[top_ - 2] = sum;
        top_--;
    }
    const Kernels &kernels_;
    float *buffers_;
    int count_, top_ = 0;
    SumNode nodes_[kMaximumSumLevels + 2];
    const float *values_[kMaximumSumLevels + 2];
};

} // namespace ds4::ktb
