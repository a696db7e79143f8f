"""Layers: modules that hold their weights and call one operation. Arguments and default initialisation are torch's."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator

import mytensor_backend

from mytensor._tensor import Parameter, Tensor
from mytensor.arguments import as_flag, as_int, as_number, describe
from mytensor.creation import empty
from mytensor.nn import functional as F
from mytensor.nn import init
from mytensor.nn.module import Module
from mytensor.ops.windows import pair


def _whole(layer: str, name: str, value, least: int | None = None) -> int:
    """An int. Beginners hand over the input here, Flatten(x) for Flatten()(x): a tensor is told how it is done."""
    if isinstance(value, Tensor):
        raise TypeError(
            f"{layer}: {name} must be an int, got a Tensor; make the layer first, then call it: {layer}(...)(x)"
        )
    number = as_int(value, f"{layer}: {name}")
    if least is not None and number < least:
        raise ValueError(f"{layer}: {name} must be {'positive' if least == 1 else 'at least 0'}, got {number}")
    return number


def _size(layer: str, name: str, value) -> int:
    """A number of channels, features or groups."""
    return _whole(layer, name, value, least=1)


def _geometry(layer: str, name: str, value, least: int | None = None):
    """An int, or several of them in a tuple or list: a window's size, its stride, padding or dilation."""
    if isinstance(value, (tuple, list)):
        if len(value) > 2:
            raise TypeError(f"{layer}: {name} must be an int or a pair of ints (height, width), got {value!r}")
        return tuple(_whole(layer, name, part, least) for part in value)
    return _whole(layer, name, value, least)


def _initialise_like_torch(weight: Tensor, bias: Tensor | None) -> None:
    """torch's default: weights and biases uniform on +-1 / sqrt(fan_in)."""
    init.kaiming_uniform_(weight, a=math.sqrt(5))  # gain sqrt(2 / 6) times sqrt(3 / fan_in) = 1 / sqrt(fan_in)
    if bias is not None:
        fan_in, _ = init.calculate_fan_in_and_fan_out(weight)
        bound = 1 / math.sqrt(fan_in)
        init.uniform_(bias, -bound, bound)


class Conv2d(Module):
    """Convolution of (N, in_channels, H, W) with trainable kernels; see F.conv2d for the arguments and the output's
    size.

    weight: (out_channels, in_channels / groups, kh, kw); bias: (out_channels) or None.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
    ):
        in_channels, out_channels = (
            _size("Conv2d", "in_channels", in_channels),
            _size("Conv2d", "out_channels", out_channels),
        )
        groups = _size("Conv2d", "groups", groups)
        if padding_mode != "zeros":
            raise NotImplementedError(f'Conv2d: padding_mode={padding_mode!r} is not supported; only "zeros"')
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"Conv2d: groups {groups} must divide in_channels {in_channels} and out_channels {out_channels}"
            )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = pair(
            _geometry("Conv2d", "kernel_size", kernel_size, 1), "Conv2d", "kernel_size", one_in_a_list=False
        )
        self.stride = pair(_geometry("Conv2d", "stride", stride, 1), "Conv2d", "stride")
        self.dilation = pair(_geometry("Conv2d", "dilation", dilation, 1), "Conv2d", "dilation")
        self.padding: str | tuple[int, int]
        if not isinstance(padding, str):
            self.padding = pair(_geometry("Conv2d", "padding", padding, 0), "Conv2d", "padding")
        elif padding not in ("same", "valid"):
            raise ValueError(f'Conv2d: padding must be "same", "valid", an int or a pair of ints, got {padding!r}')
        elif padding == "same" and self.stride != (1, 1):
            raise ValueError(f'Conv2d: padding="same" wants stride 1, got {self.stride}')
        else:
            self.padding = padding
        self.groups = groups
        self.weight = Parameter(empty(out_channels, in_channels // groups, *self.kernel_size))
        self.bias = Parameter(empty(out_channels)) if bias else None
        _initialise_like_torch(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0, 0):
            text += f", padding={self.padding}"
        if self.dilation != (1, 1):
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        return text if self.bias is not None else f"{text}, bias=False"


class Conv2D(Module):
    """The report's convolution: a square kernel of odd size, no bias, padding ksize // 2, so images keep their size.

    The weight is drawn by Tensor.uniform, and forward calls the compiled operation directly.
    """

    def __init__(self, in_channels: int, out_channels: int, ksize: int):
        in_channels, out_channels = (
            _size("Conv2D", "in_channels", in_channels),
            _size("Conv2D", "out_channels", out_channels),
        )
        ksize = _size("Conv2D", "ksize", ksize)
        self.weight = Tensor.uniform(out_channels, in_channels, ksize, ksize)

    def forward(self, x: Tensor) -> Tensor:
        return mytensor_backend.conv2d(x, self.weight)

    def extra_repr(self) -> str:
        out_channels, in_channels, ksize, _ = self.weight.shape
        return f"{in_channels}, {out_channels}, ksize={ksize}"


class Linear(Module):
    """y = x W^T + b for x (..., in_features). weight: (out_features, in_features); bias: (out_features) or None."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        self.in_features = _size("Linear", "in_features", in_features)
        self.out_features = _size("Linear", "out_features", out_features)
        self.weight = Parameter(empty(self.out_features, self.in_features))
        self.bias = Parameter(empty(self.out_features)) if bias else None
        _initialise_like_torch(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class MaxPool2d(Module):
    """The largest value of each window; see F.max_pool2d."""

    def __init__(
        self, kernel_size, stride=None, padding=0, dilation=1, return_indices: bool = False, ceil_mode: bool = False
    ):
        self.kernel_size = _geometry("MaxPool2d", "kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else _geometry("MaxPool2d", "stride", stride)
        self.padding = _geometry("MaxPool2d", "padding", padding)
        self.dilation = _geometry("MaxPool2d", "dilation", dilation)
        self.return_indices = as_flag(return_indices, "MaxPool2d: return_indices")
        self.ceil_mode = as_flag(ceil_mode, "MaxPool2d: ceil_mode")

    def forward(self, input: Tensor):
        return F.max_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(Module):
    """The average of each window; see F.avg_pool2d."""

    def __init__(
        self,
        kernel_size,
        stride=None,
        padding=0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override=None,
    ):
        self.kernel_size = _geometry("AvgPool2d", "kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else _geometry("AvgPool2d", "stride", stride)
        self.padding = _geometry("AvgPool2d", "padding", padding)
        self.ceil_mode = as_flag(ceil_mode, "AvgPool2d: ceil_mode")
        self.count_include_pad = as_flag(count_include_pad, "AvgPool2d: count_include_pad")
        self.divisor_override = divisor_override
        if divisor_override is not None:
            self.divisor_override = _whole("AvgPool2d", "divisor_override", divisor_override)

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class ReLU(Module):
    """max(x, 0)."""

    def __init__(self, inplace: bool = False):
        if isinstance(inplace, Tensor):
            raise TypeError("ReLU: inplace must be False, got a Tensor; make the layer first, then call it: ReLU()(x)")
        if inplace:
            raise NotImplementedError("ReLU: inplace=True is not supported; the result is a new tensor")

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input)


class Flatten(Module):
    """Merges the dimensions start_dim ... end_dim; by default all but the batch."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        self.start_dim = _whole("Flatten", "start_dim", start_dim)
        self.end_dim = _whole("Flatten", "end_dim", end_dim)

    def forward(self, input: Tensor) -> Tensor:
        return F._tensor(input, "Flatten", "input").flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class _ClassLoss(Module):
    """What the two losses share: class weights (a constant, not trained), ignored targets, the reduction."""

    def __init__(self, weight: Tensor | None, size_average, ignore_index: int, reduce, reduction: str):
        name = type(self).__name__
        if isinstance(weight, Tensor) and weight.ndim != 1:
            raise ValueError(
                f"{name}: weight must have one number a class, got shape {weight.shape}; make the loss first, then "
                f"call it: {name}()(input, target)"
            )
        if weight is not None and not isinstance(weight, Tensor):
            raise TypeError(f"{name}: weight must be a Tensor with one number a class, got {describe(weight)}")
        if size_average is not None or reduce is not None:
            raise NotImplementedError(
                f'{name}: size_average and reduce are torch\'s old arguments; use reduction="mean", "sum" or "none"'
            )
        self.weight = weight
        self.ignore_index, self.reduction = as_int(ignore_index, f"{name}: ignore_index"), reduction


class NLLLoss(_ClassLoss):
    """The negative log-likelihood of the target classes; see F.nll_loss."""

    def __init__(
        self, weight: Tensor | None = None, size_average=None, ignore_index: int = -100, reduce=None, reduction="mean"
    ):
        super().__init__(weight, size_average, ignore_index, reduce, reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class CrossEntropyLoss(_ClassLoss):
    """log_softmax and negative log-likelihood in one, from logits, for classes or their probabilities; see
    F.cross_entropy."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average=None,
        ignore_index: int = -100,
        reduce=None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__(weight, size_average, ignore_index, reduce, reduction)
        self.label_smoothing = as_number(label_smoothing, "CrossEntropyLoss: label_smoothing")

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class Sequential(Module):
    """Modules one after the other: Sequential(Linear(4, 3), ReLU()), or with names from an OrderedDict."""

    def __init__(self, *modules):
        if len(modules) == 1 and isinstance(modules[0], dict):
            named = OrderedDict(modules[0])
        else:
            named = OrderedDict((str(index), module) for index, module in enumerate(modules))
        for name, module in named.items():
            if not isinstance(module, Module):
                raise TypeError(f"Sequential: part {name} must be a Module, got {describe(module)}{_hint(module)}")
            self.add_module(name, module)

    def forward(self, input):
        for module in self._modules.values():
            input = module(input)
        return input

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Sequential(OrderedDict(list(self._modules.items())[index]))
        position = as_int(index, "Sequential: an index")
        if not -len(self) <= position < len(self):
            raise IndexError(f"Sequential: index {position} is out of range for {len(self)} module(s)")
        return list(self._modules.values())[position]


def _hint(value) -> str:
    """What to write instead of something that is no Module."""
    if isinstance(value, type) and issubclass(value, Module):
        return f"; write {value.__name__}(), with brackets"
    return "; write Sequential(*modules), with a star" if isinstance(value, Iterable) else ""
