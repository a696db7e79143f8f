"""The differentiable operations: a Function each, grouped as in csrc/ops/.

The functions here have the names and arguments of the backend's, and take Tensors. `mytensor.nn.functional` has torch's
names and arguments.
"""

from __future__ import annotations

import mytensor_backend as backend

from mytensor._tensor import Tensor
from mytensor.ops.activation import relu
from mytensor.ops.arithmetic import (
    abs,
    add,
    div,
    eq,
    exp,
    ge,
    gt,
    le,
    log,
    lt,
    maximum,
    minimum,
    mul,
    ne,
    neg,
    pow,
    sigmoid,
    sqrt,
    sub,
    tanh,
    where,
)
from mytensor.ops.conv import col2im, conv2d, im2col
from mytensor.ops.in_place import add_, copy_, div_, fill_, mul_, normal_, setitem, sub_, uniform_
from mytensor.ops.indexing import getitem, index_select, select
from mytensor.ops.loss import cross_entropy, nll_loss
from mytensor.ops.matmul import linear, matmul
from mytensor.ops.pooling import avg_pool2d, max_pool2d
from mytensor.ops.reductions import amax, amin, argmax, max_along, max_of_all, mean, min_along, min_of_all, sum, var
from mytensor.ops.shape import (
    broadcast_to,
    cast,
    cat,
    clone,
    contiguous,
    flatten,
    narrow,
    permute,
    reshape,
    squeeze,
    stack,
    to_device,
    transpose,
    unsqueeze,
)
from mytensor.ops.softmax import log_softmax, logsumexp, softmax


def _call_with_tensors(op: str, args: tuple, kwargs: dict):
    """What `mytensor_backend.conv2d(x, weight)` does with Tensors: calls the function of that name here."""
    first = args[0] if args else next(iter(kwargs.values()), None)
    arguments = [*args, *kwargs.values(), *(first if isinstance(first, (list, tuple)) else ())]
    if not any(isinstance(argument, Tensor) for argument in arguments):
        return NotImplemented
    if op not in __all__:
        raise TypeError(
            f"mytensor_backend.{op} has no derivative of its own, so it takes NDArrays and not Tensors; "
            "x.array is the NDArray of a Tensor, mt.Tensor(array) wraps one"
        )
    return globals()[op](*args, **kwargs)


backend.set_tensor_handler(_call_with_tensors)

__all__ = [
    "abs",
    "add",
    "add_",
    "amax",
    "amin",
    "argmax",
    "avg_pool2d",
    "broadcast_to",
    "cast",
    "cat",
    "clone",
    "col2im",
    "contiguous",
    "conv2d",
    "copy_",
    "cross_entropy",
    "div",
    "div_",
    "eq",
    "exp",
    "fill_",
    "flatten",
    "ge",
    "getitem",
    "gt",
    "im2col",
    "index_select",
    "le",
    "linear",
    "log",
    "log_softmax",
    "logsumexp",
    "lt",
    "matmul",
    "max_along",
    "max_of_all",
    "max_pool2d",
    "maximum",
    "mean",
    "min_along",
    "min_of_all",
    "minimum",
    "mul",
    "mul_",
    "narrow",
    "ne",
    "neg",
    "nll_loss",
    "normal_",
    "permute",
    "pow",
    "relu",
    "reshape",
    "select",
    "setitem",
    "sigmoid",
    "softmax",
    "sqrt",
    "squeeze",
    "stack",
    "sub",
    "sub_",
    "sum",
    "tanh",
    "to_device",
    "transpose",
    "uniform_",
    "unsqueeze",
    "var",
    "where",
]
