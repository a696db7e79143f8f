"""Layers: modules that hold their weights and call one operation. Arguments and default initialisation are torch's."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator

import mytensor_backend

from mytensor.creation import empty
from mytensor.nn import functional as F
from mytensor.nn import init
from mytensor.nn.module import Module
from mytensor.ops.windows import pair
from mytensor.tensor import Parameter, Tensor


def _check_positive(layer: str, **sizes) -> None:
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int):
            raise TypeError(f"{layer}: {name} must be an int, got {size!r}")
        if size <= 0:
            raise ValueError(f"{layer}: {name} must be positive, got {size}")


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
        _check_positive("Conv2d", in_channels=in_channels, out_channels=out_channels, groups=groups)
        if padding_mode != "zeros":
            raise NotImplementedError(f'Conv2d: padding_mode={padding_mode!r} is not supported; only "zeros"')
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"Conv2d: groups {groups} must divide in_channels {in_channels} and out_channels {out_channels}"
            )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = pair(kernel_size, "Conv2d", "kernel_size", one_in_a_list=False)
        _check_positive("Conv2d", kernel_height=self.kernel_size[0], kernel_width=self.kernel_size[1])
        self.stride = pair(stride, "Conv2d", "stride")
        self.padding = padding if isinstance(padding, str) else pair(padding, "Conv2d", "padding")
        self.dilation = pair(dilation, "Conv2d", "dilation")
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
        _check_positive("Conv2D", in_channels=in_channels, out_channels=out_channels, ksize=ksize)
        self.weight = Tensor.uniform(out_channels, in_channels, ksize, ksize)

    def forward(self, x: Tensor) -> Tensor:
        return mytensor_backend.conv2d(x, self.weight)

    def extra_repr(self) -> str:
        out_channels, in_channels, ksize, _ = self.weight.shape
        return f"{in_channels}, {out_channels}, ksize={ksize}"


class Linear(Module):
    """y = x W^T + b for x (..., in_features). weight: (out_features, in_features); bias: (out_features) or None."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        _check_positive("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(empty(out_features, in_features))
        self.bias = Parameter(empty(out_features)) if bias else None
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
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

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
        self.kernel_size, self.stride, self.padding = kernel_size, kernel_size if stride is None else stride, padding
        self.ceil_mode, self.count_include_pad, self.divisor_override = ceil_mode, count_include_pad, divisor_override

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

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input)


class Flatten(Module):
    """Merges the dimensions start_dim ... end_dim; by default all but the batch."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class _ClassLoss(Module):
    """What the two losses share: class weights (a constant, not trained), ignored targets, the reduction."""

    def __init__(self, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"):
        self.weight = weight
        self.ignore_index, self.reduction = ignore_index, reduction


class NLLLoss(_ClassLoss):
    """The negative log-likelihood of the target classes; see F.nll_loss."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class CrossEntropyLoss(_ClassLoss):
    """log_softmax and negative log-likelihood in one, from logits, for classes or their probabilities; see
    F.cross_entropy."""

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__(weight, ignore_index, reduction)
        self.label_smoothing = label_smoothing

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
                raise TypeError(f"Sequential: part {name} must be a Module, got {type(module).__name__}")
            setattr(self, name, module)

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
        return list(self._modules.values())[index]
