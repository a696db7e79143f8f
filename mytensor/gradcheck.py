"""Checks a derivative: what backward computes, against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mytensor_backend as backend
import numpy as np

from mytensor import autograd
from mytensor._tensor import Tensor
from mytensor.arguments import describe


def gradcheck(
    function: Callable[..., Tensor | tuple[Tensor, ...]],
    inputs: Tensor | Sequence[Tensor],
    eps: float = 1e-6,
    atol: float = 1e-7,
    rtol: float = 1e-5,
) -> bool:
    """Compares every derivative that backward computes with a central difference, element by element.

    For output element i and input element j, backward's d out_i / d in_j is compared with
    (out_i(in_j + eps) - out_i(in_j - eps)) / (2 eps); they must agree within atol + rtol * |difference quotient|.

    function: takes the inputs, returns a Tensor or a tuple of Tensors.
    inputs: float64 Tensors; those with requires_grad=True are checked. (float32 is too coarse for a difference
    quotient.) Returns True; raises AssertionError that names the first derivative that differs.
    """
    if not callable(function):
        raise TypeError(f"gradcheck: wanted a function of the inputs, got {describe(function)}")
    if not isinstance(inputs, (Tensor, tuple, list)):
        raise TypeError(f"gradcheck: wanted a Tensor or several in a tuple as inputs, got {describe(inputs)}")
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    checked = [index for index, value in enumerate(inputs) if isinstance(value, Tensor) and value.requires_grad]
    if not checked:
        raise ValueError("gradcheck: none of the inputs has requires_grad=True, so there is nothing to check")
    for index in checked:
        if inputs[index].dtype != backend.float64:
            raise TypeError(
                f"gradcheck: input {index} has dtype {inputs[index].dtype.name}; wanted float64, because "
                "rounding in float32 hides the differences: mt.tensor(..., dtype=mt.float64)"
            )
    # Copies of our own: the caller's .grad is left alone, and the elements can be nudged through numpy.
    points = [value.detach().clone() if isinstance(value, Tensor) else value for value in inputs]
    values = {index: points[index].numpy() for index in checked}
    for index in checked:
        points[index].requires_grad_()

    by_backward = _jacobian_by_backward(function, points, checked)
    with autograd.no_grad():
        by_difference = _jacobian_by_difference(function, points, values, eps)
    for (output, index), analytic in by_backward.items():
        numeric = by_difference[output, index]
        wrong = ~(np.abs(analytic - numeric) <= atol + rtol * np.abs(numeric))  # written so that NaN counts as wrong
        if wrong.any():
            position = np.argwhere(wrong)[0]
            output_ndim = analytic.ndim - values[index].ndim
            at_output = tuple(int(i) for i in position[:output_ndim])
            at_input = tuple(int(i) for i in position[output_ndim:])
            raise AssertionError(
                f"gradcheck: the derivative of output {output} at {at_output} by input {index} at {at_input} is "
                f"{analytic[tuple(position)]:.9g} by backward and {numeric[tuple(position)]:.9g} by finite differences "
                f"({int(wrong.sum())} of {wrong.size} derivatives differ)"
            )
    return True


def _outputs_of(function, points) -> list[Tensor]:
    result = function(*points)
    return list(result) if isinstance(result, (tuple, list)) else [result]


def _jacobian_by_backward(function, points, checked) -> dict[tuple[int, int], np.ndarray]:
    """{(output, input): d output / d input of shape output.shape + input.shape}, one backward an output element."""
    outputs = _outputs_of(function, points)
    jacobian = {}
    for number, output in enumerate(outputs):
        if not output.requires_grad:
            continue
        rows = {index: np.zeros((output.numel(), *points[index].shape)) for index in checked}
        for element in range(output.numel()):
            for index in checked:
                points[index].grad = None
            one_hot = np.zeros(output.numel())
            one_hot[element] = 1.0
            autograd.backward(output, Tensor(one_hot.reshape(output.shape)), retain_graph=True)
            for index in checked:
                if points[index].grad is not None:
                    rows[index][element] = points[index].grad.numpy()
        for index in checked:
            jacobian[number, index] = rows[index].reshape((*output.shape, *points[index].shape))
    if not jacobian:
        raise RuntimeError("gradcheck: no output depends on the inputs through recorded operations")
    return jacobian


def _jacobian_by_difference(function, points, values, eps) -> dict[tuple[int, int], np.ndarray]:
    """The same Jacobian from function values alone, one pair of calls an input element."""

    def evaluate() -> list[np.ndarray]:
        return [output.detach().numpy().copy() for output in _outputs_of(function, points)]

    shapes = [output.shape for output in evaluate()]
    jacobian = {}
    for index, value in values.items():
        flat = value.reshape(-1)  # a view: writing into it moves the input
        columns = [np.zeros((*shape, flat.size)) for shape in shapes]
        for element in range(flat.size):
            original = flat[element]
            flat[element] = original + eps
            above = evaluate()
            flat[element] = original - eps
            below = evaluate()
            flat[element] = original
            for column, high, low in zip(columns, above, below, strict=True):
                column[..., element] = (high - low) / (2 * eps)
        for number, column in enumerate(columns):
            jacobian[number, index] = column.reshape((*shapes[number], *value.shape))
    return jacobian
