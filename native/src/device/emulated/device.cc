// device.h without a GPU: device memory is host memory, and work is done at once.
#include "device/device.h"

#include <cstdlib>
#include <cstring>

#include "base/fail.h"
#include "ds4.h"

namespace ds4::device {

int count() noexcept { return 2; } // two, so that what is of one device is seen to stay there
std::string why_none() { return ""; }

Facts facts(int ordinal) {
    if (ordinal < 0 || ordinal >= count())
        fail(DS4_ERR_ARGUMENT, "GPU %d does not exist; this machine has %d", ordinal, count());
    return {"emulated GPU", 80, 4, uint64_t(8) << 30, 160 * 1024, int64_t(4) << 20};
}

void use(int ordinal) { (void)facts(ordinal); }
uint64_t available_bytes() { return uint64_t(8) << 30; }

uint8_t *allocate(uint64_t bytes) {
    const uint64_t whole = (bytes + 255) / 256 * 256;
    void *memory = std::aligned_alloc(256, whole == 0 ? 256 : whole);
    if (memory == nullptr) fail(DS4_ERR_DEVICE_MEMORY, "the GPU has no memory left");
    std::memset(memory, 0xff, whole); // NaN
    return static_cast<uint8_t *>(memory);
}

void release(uint8_t *memory) noexcept { std::free(memory); }
uint8_t *allocate_pinned(uint64_t bytes) { return allocate(bytes); }
void release_pinned(uint8_t *memory) noexcept { release(memory); }

Stream::Stream(Priority) {}
Stream::~Stream() = default;
void Stream::to_device(void *to, const void *from_host, uint64_t bytes) {
    if (bytes > 0) std::memcpy(to, from_host, bytes);
}
void Stream::to_host(void *to_host, const void *from, uint64_t bytes) {
    if (bytes > 0) std::memcpy(to_host, from, bytes);
}
void Stream::on_device(void *to, const void *from, uint64_t bytes) {
    if (bytes > 0) std::memcpy(to, from, bytes);
}
void Stream::fill(void *to, uint8_t byte, uint64_t bytes) {
    if (bytes > 0) std::memset(to, byte, bytes);
}
void Stream::wait() {}

} // namespace ds4::device
