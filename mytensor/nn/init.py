"""Where a network starts: values drawn so that signals neither fade nor grow from layer to layer.

With fan_in inputs summed into each output, weights of variance gain^2 / fan_in keep the variance of the signal
(Kaiming); gain^2 * 2 / (fan_in + fan_out) is the compromise between the forward and the backward direction (Xavier).
All functions fill the tensor in place, outside the graph, and return it.
"""

from __future__ import annotations

import math

from mytensor._tensor import Tensor
from mytensor.arguments import as_number, describe
from mytensor.autograd import no_grad


def _check(function: str, tensor: Tensor, **numbers) -> list[float]:
    """The numbers, checked, where the tensor is one to be filled."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{function}: wanted a Tensor to fill, got {describe(tensor)}")
    return [as_number(value, f"{function}: {name}") for name, value in numbers.items()]


@no_grad()
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Uniform draws from [a, b)."""
    low, high = _check("uniform_", tensor, a=a, b=b)
    return tensor.uniform_(low, high)


@no_grad()
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Normal draws."""
    mean, std = _check("normal_", tensor, mean=mean, std=std)
    return tensor.normal_(mean, std)


@no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """The same number everywhere."""
    (val,) = _check("constant_", tensor, val=val)
    return tensor.fill_(val)


@no_grad()
def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return constant_(tensor, 0)


@no_grad()
def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much to widen the weights before a nonlinearity, which shrinks the signal. param: leaky_relu's slope."""
    if nonlinearity in ("linear", "conv1d", "conv2d", "conv3d", "sigmoid"):
        return 1.0
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        if isinstance(param, bool):
            raise TypeError(f"calculate_gain: param must be a number, got {param}")
        slope = 0.01 if param is None else as_number(param, "calculate_gain: param")
        return math.sqrt(2.0 / (1 + slope**2))
    raise ValueError(
        f"calculate_gain: unknown nonlinearity {nonlinearity!r}; known: linear, conv2d, sigmoid, tanh, relu, leaky_relu"
    )


def calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """(inputs that reach one output, outputs that one input reaches) of a weight (out, in) or (out, in, kh, kw)."""
    _check("calculate_fan_in_and_fan_out", tensor)
    if tensor.ndim < 2:
        raise ValueError(
            f"fan in and fan out are defined for weights with 2 or more dimensions, got shape {tensor.shape}"
        )
    receptive_field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive_field, tensor.shape[0] * receptive_field


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fan_in, fan_out = calculate_fan_in_and_fan_out(tensor)
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'mode must be "fan_in" or "fan_out", got {mode!r}')
    fan = max(fan_in if mode == "fan_in" else fan_out, 1)  # 0: an empty weight, where there is nothing to draw
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Tensor:
    """Uniform on +-gain sqrt(3 / fan): variance gain^2 / fan (He et al. 2015). a: the slope of leaky_relu."""
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Tensor:
    """Normal with standard deviation gain / sqrt(fan) (He et al. 2015). a: the slope of leaky_relu."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Uniform on +-gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    (gain,) = _check("xavier_uniform_", tensor, gain=gain)
    bound = gain * math.sqrt(6.0 / max(sum(calculate_fan_in_and_fan_out(tensor)), 1))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Normal with standard deviation gain sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    (gain,) = _check("xavier_normal_", tensor, gain=gain)
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / max(sum(calculate_fan_in_and_fan_out(tensor)), 1)))
