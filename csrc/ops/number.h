// A Python number beside an array: it takes the array's dtype, if it fits.
#pragma once

#include <optional>
#include <string>

#include "../ndarray/ndarray.h"

namespace mt {

// Python's int has no bounds and its float is a double: one of the two is kept, and the double besides for the sake of
// large ints.
struct Number {
    bool is_float = false;
    double value = 0.0;              // the number, rounded to a double
    std::optional<int64_t> integer;  // exactly, if it is an int that fits 64 bits
};

void append_text(std::string& text, const Number& number);  // for message()

// The number as an array of shape () and the given dtype. Throws ValueError when the dtype cannot hold it: 300 in
// uint8, 1.5 in int64, 1e300 in float32. NaN and infinity fit every floating dtype.
NDArray array_of(const char* op, const Number& number, DType dtype, Device device);

// The same for a number that meets `array` in an arithmetic op; on its device, unless another is named. Throws
// TypeError for a float number with an integer array.
NDArray operand_of(const char* op, const Number& number, const NDArray& array, Device device);
NDArray operand_of(const char* op, const Number& number, const NDArray& array);

}  // namespace mt
