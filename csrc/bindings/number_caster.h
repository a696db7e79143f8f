// A Python int or float, or a numpy scalar, becomes an mt::Number. Anything else that could be turned into a number (a
// Tensor of one element, an array) is left alone: it has meanings of its own.
#pragma once

#include <limits>

#include "../ops/number.h"
#include "bindings.h"

namespace pybind11::detail {

template <>
struct type_caster<mt::Number> {
    PYBIND11_TYPE_CASTER(mt::Number, const_name("int | float"));

    bool load(handle source, bool) {
        if (!source || !PyNumber_Check(source.ptr())) return false;
        object number = reinterpret_borrow<object>(source);
        if (!PyLong_Check(source.ptr()) && !PyFloat_Check(source.ptr())) {
            // A numpy scalar: item() makes it Python's.
            const std::string module = str(type::handle_of(source).attr("__module__"));
            if (module != "numpy" || !hasattr(source, "item") || hasattr(source, "__setitem__")) return false;
            number = source.attr("item")();
        }
        if (PyFloat_Check(number.ptr())) {
            value = {true, PyFloat_AS_DOUBLE(number.ptr()), std::nullopt};
            return true;
        }
        if (!PyLong_Check(number.ptr())) return false;
        int overflow = 0;
        const long long integer = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
        if (overflow == 0) {
            value = {false, static_cast<double>(integer), int64_t{integer}};
            return true;
        }
        value = {false, PyLong_AsDouble(number.ptr()), std::nullopt};
        if (PyErr_Occurred()) {  // beyond the largest double
            PyErr_Clear();
            value.value = overflow * std::numeric_limits<double>::max();
        }
        return true;
    }

    static handle cast(const mt::Number& number, return_value_policy, handle) {
        return number.integer ? int_(*number.integer).release() : float_(number.value).release();
    }
};

}  // namespace pybind11::detail
