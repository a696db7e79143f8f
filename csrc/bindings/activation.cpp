// relu and the unary functions.
#include "../ops/activation.h"

#include "bindings.h"

namespace mt {

void bind_activation(py::module_& m) {
    def_op(m, "relu", &relu, "max(x, 0), element by element; NaN stays NaN. x: any shape, float32 or float64.",
           py::arg("x"));
    def_op(m, "relu_backward", &relu_backward,
           "The gradient of relu's input: "
           "upstream where output, which relu returned, is positive, else 0. All of one shape.",
           py::arg("upstream"), py::arg("output"));
    def_op(m, "neg", &neg, "-x, element by element. x: any shape; any dtype but uint8.", py::arg("x"));
    def_op(m, "abs", &abs, "|x|, element by element. x: any shape; any dtype but uint8.", py::arg("x"));
    def_op(m, "exp", &exp, "e to the power of x, element by element. x: any shape, float32 or float64.", py::arg("x"));
    def_op(m, "log", &log,
           "Natural logarithm, element by element; log(0) = -inf, NaN below. x: any shape, float32 or float64.",
           py::arg("x"));
    def_op(m, "sqrt", &sqrt, "Square root, element by element; NaN below 0. x: any shape, float32 or float64.",
           py::arg("x"));
    def_op(m, "tanh", &tanh, "Hyperbolic tangent, element by element. x: any shape, float32 or float64.", py::arg("x"));
    def_op(m, "sigmoid", &sigmoid, "1 / (1 + exp(-x)), element by element. x: any shape, float32 or float64.",
           py::arg("x"));
}

}  // namespace mt
