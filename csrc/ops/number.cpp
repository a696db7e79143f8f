#include "number.h"

#include <cmath>
#include <limits>

#include "fill_cast.h"

namespace mt {
namespace {

template <class T>
bool fits(const Number& number) {
    if constexpr (std::is_floating_point_v<T>) {
        return !std::isfinite(number.value) ||
               std::abs(number.value) <= static_cast<double>(std::numeric_limits<T>::max());
    } else if (number.integer) {
        return *number.integer >= static_cast<int64_t>(std::numeric_limits<T>::min()) &&
               *number.integer <= static_cast<int64_t>(std::numeric_limits<T>::max());
    } else {
        // A float is welcome where it is whole. 2^63 is the first double that no int64 holds.
        constexpr double kTooLarge = 9223372036854775808.0;
        return number.is_float && number.value == std::trunc(number.value) && std::abs(number.value) < kTooLarge &&
               fits<T>(Number{false, number.value, static_cast<int64_t>(number.value)});
    }
}

template <class T>
T as(const Number& number) {
    if constexpr (std::is_integral_v<T>) {
        if (number.integer) return static_cast<T>(*number.integer);
    }
    return static_cast<T>(number.value);
}

}  // namespace

void append_text(std::string& text, const Number& number) {
    text += number.integer ? message(*number.integer) : message(number.value);
}

NDArray array_of(const char* op, const Number& number, DType dtype, Device device) {
    NDArray array = NDArray::empty({}, dtype);
    dispatch_all(dtype, [&](auto zero) {
        using T = decltype(zero);
        require<ValueError>(fits<T>(number), op, ": the number ", number, " does not fit ", name_of(dtype),
                            "; use another number or an array of another dtype");
        *array.data<T>() = as<T>(number);
    });
    if (device != Device::cuda) return array.to(device);
    NDArray there = NDArray::empty({}, dtype, device);  // by a kernel: a copy would wait for all that is queued
    return fill_(there, number);
}

NDArray operand_of(const char* op, const Number& number, const NDArray& array, Device device) {
    require<TypeError>(!number.is_float || is_floating(array.dtype()), op, ": the float number ", number,
                       " does not go with ", describe(array),
                       "; use an int, or convert the array with .astype(float32), .float() on a Tensor");
    return array_of(op, number, array.dtype(), device);
}

NDArray operand_of(const char* op, const Number& number, const NDArray& array) {
    return operand_of(op, number, array, array.device());
}

}  // namespace mt
