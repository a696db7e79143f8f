// Functions of one element: relu, its derivative, and the unary functions.
#pragma once

#include "../ndarray/ndarray.h"

namespace mt::cpu {

// All arrays of a call have one shape and one dtype.
void relu(const NDArray& x, NDArray& output);
void relu_backward(const NDArray& upstream, const NDArray& output, NDArray& gradient);

void neg(const NDArray& x, NDArray& output);
void abs(const NDArray& x, NDArray& output);
void exp(const NDArray& x, NDArray& output);
void log(const NDArray& x, NDArray& output);
void sqrt(const NDArray& x, NDArray& output);
void tanh(const NDArray& x, NDArray& output);
void sigmoid(const NDArray& x, NDArray& output);

}  // namespace mt::cpu
