// launch() for the emulator: the kernel is called once for every thread of the grid.
#pragma once

#include <type_traits>
#include <utility>

#include "cuda.h"

namespace mt::simt {

// Where this library's shared memory lies on the calling thread of the CPU: all its thread_local variables, which are
// its __shared__ arrays, stand together.
inline __attribute__((visibility("hidden"))) thread_local char simt_shared_anchor = 0;
SIMT_UNSEEN void* shared_anchor() { return &simt_shared_anchor; }

#ifdef __SANITIZE_THREAD__
constexpr bool kIsWatched = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
constexpr bool kIsWatched = true;
#else
constexpr bool kIsWatched = false;
#endif
#else
constexpr bool kIsWatched = false;
#endif

template <class T>
constexpr char type_code() {
    using Plain = std::remove_cv_t<T>;
    if (std::is_same_v<Plain, float>) return 'f';
    if (std::is_same_v<Plain, double>) return 'd';
    if (std::is_same_v<Plain, unsigned char>) return 'B';
    if (std::is_integral_v<Plain> && sizeof(T) == 8) return 'l';
    if (std::is_integral_v<Plain> && sizeof(T) == 4) return 'i';
    return '?';
}

template <class T>
Argument describe(const T&) {
    return {nullptr, 0, '?', false};
}
template <class T>
Argument describe(T* const& pointer) {
    return {pointer, sizeof(T), type_code<T>(), !std::is_const_v<T>};
}

// Calls the kernel. Neither instrumented, which would cost more than many a kernel, nor part of an instrumented
// function.
template <class... Parameters>
struct Caller {
    template <size_t... I>
    SIMT_UNSEEN static void call_each(const void* kernel, void** values, std::index_sequence<I...>) {
        reinterpret_cast<void (*)(Parameters...)>(const_cast<void*>(kernel))(
            *static_cast<std::remove_reference_t<Parameters>*>(values[I])...);
    }
    SIMT_UNSEEN static void call(const void* kernel, void** values) {
        call_each(kernel, values, std::index_sequence_for<Parameters...>());
    }
};

// The parameters' types come from the kernel, so that the arguments convert as in an ordinary call.
template <class... Parameters>
void launch_kernel(bool is_cooperative, const char* text, void (*kernel)(Parameters...), dim3 grid, dim3 block,
                   size_t shared_bytes, typename Same<Parameters>::type... arguments) {
    void* values[] = {const_cast<void*>(static_cast<const void*>(&arguments))..., nullptr};
    const Argument descriptions[] = {describe(arguments)..., {}};
    run({text,
         reinterpret_cast<const void*>(kernel),
         Caller<Parameters...>::call,
         values,
         descriptions,
         sizeof...(Parameters),
         {grid.x, grid.y, grid.z},
         {block.x, block.y, block.z},
         shared_bytes,
         shared_anchor,
         kIsWatched,
         is_cooperative});
}

}  // namespace mt::simt

namespace mt {

SIMT_EXPORT void* allocate_scratch(size_t bytes);
SIMT_EXPORT void release_scratch(void* data) noexcept;

}  // namespace mt

#define launch(...) ::mt::simt::launch_kernel(false, #__VA_ARGS__, __VA_ARGS__)
#define launch_cooperative(...) ::mt::simt::launch_kernel(true, #__VA_ARGS__, __VA_ARGS__)
