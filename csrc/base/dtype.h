// The element types of an NDArray, and the way from a run-time type to a C++ template.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "error.h"

namespace mt {

enum class DType : uint8_t { float32, float64, int64, int32, uint8 };

const char* name_of(DType dtype);
size_t item_size(DType dtype);

inline bool is_floating(DType dtype) { return dtype == DType::float32 || dtype == DType::float64; }

template <class T>
constexpr DType dtype_of() {
    if constexpr (std::is_same_v<T, float>) return DType::float32;
    if constexpr (std::is_same_v<T, double>) return DType::float64;
    if constexpr (std::is_same_v<T, int64_t>) return DType::int64;
    if constexpr (std::is_same_v<T, int32_t>) return DType::int32;
    if constexpr (std::is_same_v<T, uint8_t>) return DType::uint8;
}

// Calls body(T{}) with the C++ type of `dtype`:
//     dispatch_floating(x.dtype(), [&](auto zero) { using T = decltype(zero); ... });
// The op has checked the dtype before (require_floating in ndarray.h), so other types do not occur here.
template <class Body>
void dispatch_floating(DType dtype, Body&& body) {
    if (dtype == DType::float32) return body(float{});
    if (dtype == DType::float64) return body(double{});
    throw TypeError(message("wanted float32 or float64, got ", name_of(dtype)));
}

template <class Body>
void dispatch_all(DType dtype, Body&& body) {
    switch (dtype) {
        case DType::float32:
            return body(float{});
        case DType::float64:
            return body(double{});
        case DType::int64:
            return body(int64_t{});
        case DType::int32:
            return body(int32_t{});
        case DType::uint8:
            return body(uint8_t{});
    }
}

}  // namespace mt
