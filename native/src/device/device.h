// One GPU as the CUDA backend uses it: memory, streams, launches. Nothing here knows a kernel or a
// model. A program links one of two forms. device/cuda talks to a driver; device/emulated runs the
// same kernels on the CPU, for tests on machines without a GPU.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ds4::device {

struct Facts {
    std::string name;        // "NVIDIA H200"
    int architecture = 0;    // 90 for sm_90
    int multiprocessors = 0; // SMs
    uint64_t memory_bytes = 0;
    int64_t shared_bytes = 0; // the most that a block may have
    int64_t l2_bytes = 0;
};

// 0 without a driver or a GPU. Never throws.
int count() noexcept;
// Why count() is 0: "the NVIDIA driver is missing or older than ..."; "" otherwise.
std::string why_none();
// Throws Error(DS4_ERR_ARGUMENT) for an ordinal that does not exist.
Facts facts(int ordinal);

// Makes a GPU the one that this thread's calls mean.
void use(int ordinal);
// Bytes that allocate could still give.
uint64_t available_bytes();
// Device memory at a multiple of 256, uninitialised. Throws Error(DS4_ERR_DEVICE_MEMORY).
uint8_t *allocate(uint64_t bytes);
void release(uint8_t *memory) noexcept;
// Host memory that copies reach at full speed. Throws Error(DS4_ERR_DEVICE_MEMORY).
uint8_t *allocate_pinned(uint64_t bytes);
void release_pinned(uint8_t *memory) noexcept;

// Work of one stream runs in order. A failed kernel shows at wait(), as Error(DS4_ERR_DEVICE).
class Stream {
  public:
    enum class Priority { high, low };
    explicit Stream(Priority priority = Priority::high);
    ~Stream();
    Stream(const Stream &) = delete;
    Stream &operator=(const Stream &) = delete;

    // All three return before the copy is done. Host memory that is not pinned is read before they
    // return, and written by wait().
    void to_device(void *to, const void *from_host, uint64_t bytes);
    void to_host(void *to_host, const void *from, uint64_t bytes);
    void on_device(void *to, const void *from, uint64_t bytes);
    void fill(void *to, uint8_t byte, uint64_t bytes);
    void wait();
    void *handle() const { return handle_; } // cudaStream_t, null where it is emulated

  private:
    void *handle_ = nullptr;
};

// Device memory that goes with the object.
class Memory {
  public:
    Memory() = default;
    explicit Memory(uint64_t bytes)
        : data_(bytes == 0 ? nullptr : allocate(bytes)), bytes_(bytes) {}
    ~Memory() {
        if (data_ != nullptr) release(data_);
    }
    Memory(Memory &&other) noexcept
        : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Memory &operator=(Memory &&other) noexcept {
        std::swap(data_, other.data_), std::swap(bytes_, other.bytes_);
        return *this;
    }
    Memory(const Memory &) = delete;
    Memory &operator=(const Memory &) = delete;

    uint64_t bytes() const { return bytes_; }
    uint8_t *data() const { return data_; }
    template <typename T> T *as() const { return reinterpret_cast<T *>(data_); }

  private:
    uint8_t *data_ = nullptr;
    uint64_t bytes_ = 0;
};

} // namespace ds4::device
