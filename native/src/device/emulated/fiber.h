// A stack of its own for a function that can be left in the middle and entered again.
#pragma once
#include <cstdint>

namespace ds4::device::emulated {

class Fiber {
  public:
    Fiber();
    ~Fiber();
    Fiber(const Fiber &) = delete;
    Fiber &operator=(const Fiber &) = delete;

    // The next enter() begins `function(argument)`. It must not return or throw: it leaves for
    // good.
    void prepare(void (*function)(void *), void *argument);
    // Goes on in the fiber until it leaves.
    void enter();
    // Called inside of the fiber.
    void leave();

  private:
    uint8_t *stack_ = nullptr;
    void *inside_ = nullptr, *outside_ = nullptr; // stack pointers of the side that does not run
};

} // namespace ds4::device::emulated
