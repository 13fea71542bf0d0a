// device.h on the CUDA runtime, which is linked statically: the library loads without a driver.
#include "device/device.h"

#include <cuda_runtime.h>

#include "base/fail.h"
#include "device/launch.h"
#include "ds4.h"

namespace ds4::device {
namespace {

void check(cudaError_t status, const char *what) {
    if (status == cudaSuccess) return;
    (void)cudaGetLastError(); // an error that is not sticky ends here
    if (status == cudaErrorMemoryAllocation)
        fail(DS4_ERR_DEVICE_MEMORY, "%s: the GPU has no memory left for it", what);
    fail(DS4_ERR_DEVICE, "%s: %s (%s)", what, cudaGetErrorString(status), cudaGetErrorName(status));
}

cudaStream_t stream_of(const Stream &stream) { return static_cast<cudaStream_t>(stream.handle()); }

cudaError_t query_count(int &devices) {
    devices = 0;
    const cudaError_t status = cudaGetDeviceCount(&devices);
    if (status != cudaSuccess) devices = 0, (void)cudaGetLastError();
    return status;
}

} // namespace

int count() noexcept {
    int devices = 0;
    query_count(devices);
    return devices;
}

std::string why_none() {
    int devices = 0;
    const cudaError_t status = query_count(devices);
    if (devices > 0) return "";
    return status == cudaSuccess ? "the driver lists no GPU" : cudaGetErrorString(status);
}

Facts facts(int ordinal) {
    if (ordinal < 0 || ordinal >= count())
        fail(DS4_ERR_ARGUMENT, "GPU %d does not exist; this machine has %d", ordinal, count());
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, ordinal), "the GPU's properties");
    Facts facts;
    facts.name = properties.name;
    facts.architecture = properties.major * 10 + properties.minor;
    facts.multiprocessors = properties.multiProcessorCount;
    facts.memory_bytes = properties.totalGlobalMem;
    facts.shared_bytes = int64_t(properties.sharedMemPerBlockOptin);
    facts.l2_bytes = properties.l2CacheSize;
    return facts;
}

void use(int ordinal) { check(cudaSetDevice(ordinal), "choosing the GPU"); }

uint64_t available_bytes() {
    size_t available = 0, total = 0;
    check(cudaMemGetInfo(&available, &total), "the GPU's free memory");
    return available;
}

uint8_t *allocate(uint64_t bytes) {
    void *memory = nullptr;
    if (cudaMalloc(&memory, bytes) != cudaSuccess) {
        (void)cudaGetLastError();
        fail(DS4_ERR_DEVICE_MEMORY, "the GPU has no %llu MB left (%llu MB are free)",
             (unsigned long long)(bytes >> 20), (unsigned long long)(available_bytes() >> 20));
    }
    return static_cast<uint8_t *>(memory);
}

void release(uint8_t *memory) noexcept { (void)cudaFree(memory); }

uint8_t *allocate_pinned(uint64_t bytes) {
    void *memory = nullptr;
    check(cudaHostAlloc(&memory, bytes, cudaHostAllocPortable), "pinned host memory");
    return static_cast<uint8_t *>(memory);
}

void release_pinned(uint8_t *memory) noexcept { (void)cudaFreeHost(memory); }

Stream::Stream(Priority priority) {
    int low = 0, high = 0;
    check(cudaDeviceGetStreamPriorityRange(&low, &high), "stream priorities");
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking,
                                       priority == Priority::high ? high : low),
          "a stream");
    handle_ = stream;
}

Stream::~Stream() { (void)cudaStreamDestroy(stream_of(*this)); }

void Stream::to_device(void *to, const void *from_host, uint64_t bytes) {
    if (bytes > 0)
        check(cudaMemcpyAsync(to, from_host, bytes, cudaMemcpyHostToDevice, stream_of(*this)),
              "a copy to the GPU");
}

void Stream::to_host(void *to_host, const void *from, uint64_t bytes) {
    if (bytes > 0)
        check(cudaMemcpyAsync(to_host, from, bytes, cudaMemcpyDeviceToHost, stream_of(*this)),
              "a copy from the GPU");
}

void Stream::on_device(void *to, const void *from, uint64_t bytes) {
    if (bytes > 0)
        check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_of(*this)),
              "a copy on the GPU");
}

void Stream::fill(void *to, uint8_t byte, uint64_t bytes) {
    if (bytes > 0) check(cudaMemsetAsync(to, byte, bytes, stream_of(*this)), "filling GPU memory");
}

void Stream::wait() { check(cudaStreamSynchronize(stream_of(*this)), "work of the GPU"); }

void launch_kernel(const void *kernel, const LaunchShape &shape, Stream &stream, void **arguments) {
    if (shape.blocks <= 0 || shape.blocks_y <= 0) return;
    constexpr int64_t kSharedWithoutAsking = 48 * 1024;
    if (shape.shared_bytes > kSharedWithoutAsking)
        check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   int(shape.shared_bytes)),
              "shared memory of a kernel");
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(unsigned(shape.blocks), unsigned(shape.blocks_y));
    config.blockDim = dim3(unsigned(shape.threads));
    config.dynamicSmemBytes = size_t(shape.shared_bytes);
    config.stream = stream_of(stream);
    cudaLaunchAttribute attributes[2];
    unsigned used = 0;
    if (shape.cluster > 1) {
        attributes[used].id = cudaLaunchAttributeClusterDimension;
        attributes[used].val.clusterDim = {unsigned(shape.cluster), 1, 1};
        used++;
    }
    if (shape.after_trigger) {
        attributes[used].id = cudaLaunchAttributeProgrammaticStreamSerialization;
        attributes[used].val.programmaticStreamSerializationAllowed = 1;
        used++;
    }
    config.attrs = attributes, config.numAttrs = used;
    check(cudaLaunchKernelExC(&config, kernel, arguments), "starting a kernel");
}

} // namespace ds4::device
