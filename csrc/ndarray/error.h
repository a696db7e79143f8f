// Errors are for the reader: what came, what was wanted, what to do. Each class becomes the Python exception of its
// name (bindings/module.cpp translates); ValueError and IndexError use the standard library's own classes, which
// pybind11 knows.
#pragma once

#include <cstdint>
#include <ostream>
#include <sstream>
#include <stdexcept>
#include <string>
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
std::ostream& operator<<(std::ostream& out, ShapeText text);

// message("conv2d: got ", 3, " channels") -> one string.
template <class... Parts>
std::string message(const Parts&... parts) {
    std::ostringstream out;
    (out << ... << parts);
    return out.str();
}

// require<ValueError>(size > 0, "...", size, "...") throws the message when the condition does not hold.
template <class Error, class... Parts>
void require(bool condition, const Parts&... parts) {
    if (!condition) throw Error(message(parts...));
}

}  // namespace mt
