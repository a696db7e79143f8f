// Errors are for the reader: what came, what was wanted, what to do. Each class becomes the Python exception of its
// name (bindings/module.cpp translates); ValueError and IndexError use the standard library's own classes, which
// pybind11 knows.
#pragma once

#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace mt {

using Shape = std::vector<int64_t>;

struct TypeError : std::runtime_error {
    using std::runtime_error::runtime_error;
};
struct __attribute__((visibility("default"))) OutOfMemory : std::runtime_error {
    using std::runtime_error::runtime_error;
};
struct __attribute__((visibility("default"))) NotSupported : std::runtime_error {
    using std::runtime_error::runtime_error;
};
// What the emulator found wrong with a kernel (device simt), and what the CUDA runtime did (device cuda). Visible,
// since they are thrown by one library and caught by another.
struct __attribute__((visibility("default"))) SimtError : std::runtime_error {
    using std::runtime_error::runtime_error;
};
struct __attribute__((visibility("default"))) CudaError : std::runtime_error {
    using std::runtime_error::runtime_error;
};
using ValueError = std::invalid_argument;
using IndexError = std::out_of_range;

// A shape as Python prints a tuple, "(2, 3, 32, 32)". It is made into text only when the message is written: the
// arguments of require() below are evaluated at every call of an op, and a check that passes must cost nothing.
struct ShapeText {
    const Shape& shape;
};
inline ShapeText to_string(const Shape& shape) { return {shape}; }

// append_text(text, part): one part of a message. Never through std::ostream: where the compiler links libstdc++ into
// this library and Python has loaded another copy of it, the two share some of the streams' symbols but not the locale
// behind them, and the first number written ends the process.
inline void append_text(std::string& text, const char* part) { text += part; }
inline void append_text(std::string& text, const std::string& part) { text += part; }
inline void append_text(std::string& text, char part) { text += part; }

template <class Integer, std::enable_if_t<std::is_integral_v<Integer>, int> = 0>
void append_text(std::string& text, Integer part) {
    text += std::to_string(part);
}

inline void append_text(std::string& text, double part) {
    char digits[32];
    std::snprintf(digits, sizeof(digits), "%g", part);
    text += digits;
}

inline void append_text(std::string& text, const void* part) {
    char digits[32];
    std::snprintf(digits, sizeof(digits), "%p", part);
    text += digits;
}

inline void append_text(std::string& text, ShapeText part) {
    text += "(";
    for (size_t i = 0; i < part.shape.size(); i++) {
        if (i > 0) text += ", ";
        text += std::to_string(part.shape[i]);
    }
    text += part.shape.size() == 1 ? ",)" : ")";
}

// message("conv2d: got ", 3, " channels") -> one string.
template <class... Parts>
std::string message(const Parts&... parts) {
    std::string text;
    (append_text(text, parts), ...);
    return text;
}

// require<ValueError>(size > 0, "...", size, "...") throws the message when the condition does not hold.
template <class Error, class... Parts>
void require(bool condition, const Parts&... parts) {
    if (!condition) throw Error(message(parts...));
}

}  // namespace mt
