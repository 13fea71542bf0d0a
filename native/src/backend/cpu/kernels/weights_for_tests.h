// Random legal weights of every type for tests, in memory that ends at a page which must not be
// touched.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "backend/cpu/kernels/matmul.h"
#include "base/assert.h"
#include "ds4.h"
#include "format/convert.h"

namespace ds4::cpu::test {

class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ull + 1) {}
    uint64_t next() {
        state_ ^= state_ << 13, state_ ^= state_ >> 7, state_ ^= state_ << 17;
        return state_ * 0x2545f4914f6cdd1dull;
    }
    int64_t below(int64_t count) { return int64_t((next() >> 11) % uint64_t(count)); }
    float symmetric() { return float(below(2000001) - 1000000) * 1e-6f; } // [-1, 1]

  private:
    uint64_t state_;
};

// Bytes whose last one is the last before an unmapped page: a read past them ends the test.
class GuardedBytes {
  public:
    explicit GuardedBytes(uint64_t bytes) : bytes_(bytes) {
        const uint64_t page = uint64_t(sysconf(_SC_PAGESIZE));
        mapped_ = (bytes + page - 1) / page * page + page;
        void *memory =
            mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        DS4_ASSERT(memory != MAP_FAILED);
        base_ = static_cast<uint8_t *>(memory);
        DS4_ASSERT(mprotect(base_ + mapped_ - page, page, PROT_NONE) == 0);
        data_ = base_ + mapped_ - page - bytes;
    }
    ~GuardedBytes() { munmap(base_, mapped_); }
    GuardedBytes(const GuardedBytes &) = delete;
    GuardedBytes &operator=(const GuardedBytes &) = delete;
    uint8_t *data() const { return data_; }
    uint64_t size() const { return bytes_; }

  private:
    uint64_t bytes_, mapped_ = 0;
    uint8_t *base_ = nullptr, *data_ = nullptr;
};

struct Weights {
    Weights(uint32_t type, int64_t rows, int64_t cols, uint64_t seed)
        : codes(uint64_t(rows) * row_bytes(type, uint64_t(cols))),
          scales(scale_bytes(type, uint64_t(rows), uint64_t(cols))) {
        Random random(seed);
        for (uint64_t i = 0; i < codes.size(); i++) codes.data()[i] = uint8_t(random.next() >> 32);
        for (uint64_t i = 0; i < scales.size(); i++)
            scales.data()[i] = uint8_t(110 + random.below(14));
        matrix.type = type, matrix.rows = rows, matrix.cols = cols;
        matrix.data = codes.data(), matrix.scales = scales.size() != 0 ? scales.data() : nullptr;
        set_scales(random);
    }

    // Decoded exactly, [rows, cols].
    std::vector<float> decoded() const {
        std::vector<float> values(size_t(matrix.rows * matrix.cols));
        for (int64_t row = 0; row < matrix.rows; row++) {
            const uint8_t *row_scales = nullptr;
            if (matrix.type == DS4_TYPE_FP4_PACKED)
                row_scales = matrix.scales + row * (matrix.cols / 32);
            if (matrix.type == DS4_TYPE_F8_E4M3)
                row_scales = matrix.scales + row / 128 * ((matrix.cols + 127) / 128);
            decode_row(matrix.type,
                       matrix.data + row * int64_t(row_bytes(matrix.type, uint64_t(matrix.cols))),
                       row_scales, values.data() + row * matrix.cols, matrix.cols);
        }
        return values;
    }

    GuardedBytes codes, scales;
    Matrix matrix;

  private:
    // Scales between about 2^-13 and 2^-1 wherever the type has them, both signs for the f16 ones.
    void set_scales(Random &random) {
        const auto halves = [&](uint64_t stride, uint64_t offset) {
            for (uint64_t i = offset; i + 2 <= codes.size(); i += stride) {
                const uint16_t half =
                    uint16_t((random.next() & 0x8000u) | uint64_t(0x0800 + random.below(0x3000)));
                std::memcpy(codes.data() + i, &half, 2);
            }
        };
        switch (matrix.type) {
        case DS4_TYPE_Q8_0: halves(34, 0); break;
        case DS4_TYPE_IQ2_XXS: halves(66, 0); break;
        case DS4_TYPE_Q4_K: halves(144, 0), halves(144, 2); break;
        case DS4_TYPE_Q2_K: halves(84, 80), halves(84, 82); break;
        case DS4_TYPE_F16: halves(2, 0); break;
        case DS4_TYPE_MXFP4:
            for (uint64_t i = 0; i < codes.size(); i += 17)
                codes.data()[i] = uint8_t(110 + random.below(14));
            break;
        case DS4_TYPE_BF16:
        case DS4_TYPE_F32: {
            const uint64_t bytes = matrix.type == DS4_TYPE_F32 ? 4 : 2;
            for (uint64_t i = bytes - 2; i < codes.size(); i += bytes) {
                const uint16_t upper =
                    uint16_t((random.next() & 0x8000u) | uint64_t(0x3900 + random.below(0x600)));
                std::memcpy(codes.data() + i, &upper, 2);
            }
            break;
        }
        case DS4_TYPE_F8_E4M3:
            for (uint64_t i = 0; i < codes.size(); i++)
                if ((codes.data()[i] & 0x7f) == 0x7f) codes.data()[i] = 0x38;
            break;
        default: break;
        }
    }
};

// Memory for prepare_activations.
class ActivationMemory {
  public:
    ActivationMemory(int64_t count, int64_t cols, Precision precision)
        : bytes_(activation_bytes(count, cols, precision) + 64) {}
    void *data() {
        return reinterpret_cast<void *>((reinterpret_cast<uintptr_t>(bytes_.data()) + 63) &
                                        ~uintptr_t(63));
    }

  private:
    std::vector<uint8_t> bytes_;
};

constexpr uint32_t kBlockTypes[] = {DS4_TYPE_Q8_0, DS4_TYPE_MXFP4, DS4_TYPE_FP4_PACKED,
                                    DS4_TYPE_Q4_K, DS4_TYPE_Q2_K,  DS4_TYPE_IQ2_XXS};
constexpr uint32_t kDenseTypes[] = {DS4_TYPE_F32, DS4_TYPE_F16, DS4_TYPE_BF16, DS4_TYPE_F8_E4M3};
constexpr Isa kIsas[] = {Isa::generic, Isa::avx2, Isa::avx512};

} // namespace ds4::cpu::test
