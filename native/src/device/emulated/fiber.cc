#include "device/emulated/fiber.h"

#include <new>
#include <sys/mman.h>

#include "base/assert.h"

// void ds4_switch_stack(void **save, void *to): keeps what a call keeps, on the stack.
#if defined(__x86_64__)
asm(R"(
.text
.type ds4_switch_stack,@function
ds4_switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size ds4_switch_stack,.-ds4_switch_stack
.type ds4_begin_fiber,@function
ds4_begin_fiber:
    movq %r12, %rdi
    call *%rbx
    ud2
.size ds4_begin_fiber,.-ds4_begin_fiber
)");
#else
#error "the emulation of a GPU needs a stack switch for this processor"
#endif

extern "C" void ds4_switch_stack(void **save, void *to);
extern "C" void ds4_begin_fiber();

namespace ds4::device::emulated {
namespace {

constexpr size_t kStackBytes = size_t(128) << 10;
constexpr size_t kGuardBytes = 4096; // below the stack: an overflow ends the program at once

} // namespace

Fiber::Fiber() {
    void *memory = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    stack_ = static_cast<uint8_t *>(memory);
    DS4_ASSERT(mprotect(memory, kGuardBytes, PROT_NONE) == 0);
}

Fiber::~Fiber() { munmap(stack_, kStackBytes); }

void Fiber::prepare(void (*function)(void *), void *argument) {
    void **top = reinterpret_cast<void **>(stack_ + kStackBytes) - 2; // 16-byte aligned
    *--top = reinterpret_cast<void *>(ds4_begin_fiber);
    *--top = nullptr;                             // rbp
    *--top = reinterpret_cast<void *>(function);  // rbx
    *--top = argument;                            // r12
    for (int i = 0; i < 3; i++) *--top = nullptr; // r13 to r15
    inside_ = top;
}

void Fiber::enter() { ds4_switch_stack(&outside_, inside_); }
void Fiber::leave() { ds4_switch_stack(&inside_, outside_); }

} // namespace ds4::device::emulated
