// The frame of every extern "C" function. It clears the thread's error text, turns an exception
// into a status and keeps its text for ds4_last_error.
#pragma once
#include <cstdio>
#include <exception>
#include <new>

#include "base/error.h"
#include "base/fail.h"
#include "ds4.h"

namespace ds4::api {

// The calling thread's text for ds4_last_error; empty if its last call succeeded.
struct ErrorText {
    char text[2048];
};
inline ErrorText &error_text() noexcept {
    static thread_local ErrorText error{};
    return error;
}
inline void clear_error() noexcept { error_text().text[0] = '\0'; }
inline void set_error(const char *text) noexcept {
    std::snprintf(error_text().text, sizeof error_text().text, "%s", text);
}

// Runs a body that may throw. No exception leaves this function: across the C boundary it would end
// the process.
template <typename Body> ds4_status guarded(Body &&body) noexcept {
    clear_error();
    try {
        body();
        return DS4_OK;
    } catch (const Error &error) {
        set_error(error.what());
        return error.status();
    } catch (const std::bad_alloc &) {
        set_error("out of host memory");
        return DS4_ERR_DEVICE_MEMORY;
    } catch (const std::exception &error) {
        set_error(error.what());
        return DS4_ERR_INTERNAL;
    } catch (...) {
        set_error("an exception of unknown type");
        return DS4_ERR_INTERNAL;
    }
}

// The same for functions that return a value rather than a status; a failure returns `fallback`.
template <typename Value, typename Body> Value guarded_value(Value fallback, Body &&body) noexcept {
    Value value = fallback;
    const ds4_status status = guarded([&] { value = body(); });
    return status == DS4_OK ? value : fallback;
}

// name: the parameter as ds4.h spells it. Throws Error(DS4_ERR_ARGUMENT).
inline void require_pointer(const void *pointer, const char *name) {
    if (pointer == nullptr) fail(DS4_ERR_ARGUMENT, "%s is null", name);
}

} // namespace ds4::api
