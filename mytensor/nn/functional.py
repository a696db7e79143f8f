"""torch.nn.functional, as far as it is built: the same names, arguments, defaults and meanings."""

from __future__ import annotations

import mytensor_backend as backend

from mytensor import ops
from mytensor._tensor import Tensor
from mytensor.ops.windows import pair

_REDUCTIONS = ("none", "mean", "sum")


def _tensor(value, function: str, name: str, *ndims: int) -> Tensor:
    """Checks that an argument is a Tensor with one of the wanted numbers of dimensions."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{function}: {name} must be a Tensor, got {type(value).__name__}; mt.tensor(...) makes one")
    if ndims and value.array.ndim not in ndims:
        wanted = " or ".join(str(ndim) for ndim in ndims)
        raise ValueError(f"{function}: {name} must have {wanted} dimensions, got shape {value.shape}")
    return value


def _batched(function, input: Tensor, dims_with_batch: int) -> Tensor:
    """Calls function(input) with a batch of one put in front if the input has none, and taken away again."""
    if input.ndim == dims_with_batch:
        return function(input)
    return function(input.unsqueeze(0)).squeeze(0)


# ---------------------------------------------------------------------------------------------------------------------
# Convolution and linear
# ---------------------------------------------------------------------------------------------------------------------


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0, dilation=1, groups: int = 1
) -> Tensor:
    """Slides the kernels over the images.

    input: (N, C_in, H, W), or one image (C_in, H, W). weight: (C_out, C_in / groups, kh, kw). bias: (C_out).
    stride, dilation: an int or (height, width). padding: the same, or "valid" (none), or "same" (the output has the
    input's size; stride 1 only).
    Returns (N, C_out, H', W') with H' = floor((H + 2 padding - dilation (kh - 1) - 1) / stride) + 1.
    """
    _tensor(input, "conv2d", "input", 3, 4)
    _tensor(weight, "conv2d", "weight", 4)
    if bias is not None:
        _tensor(bias, "conv2d", "bias", 1)
    if isinstance(padding, str):
        if padding == "same":
            return _conv2d_same(input, weight, bias, stride, dilation, groups)
        if padding != "valid":
            raise ValueError(f'conv2d: padding must be "same", "valid", an int or a pair of ints, got {padding!r}')
        padding = 0
    if input.ndim == 4:
        return ops.conv2d(input, weight, bias, stride, padding, dilation, groups)
    return ops.conv2d(input.unsqueeze(0), weight, bias, stride, padding, dilation, groups).squeeze(0)


def _conv2d_same(input, weight, bias, stride, dilation, groups) -> Tensor:
    """padding="same". An even kernel needs one zero more behind than before: pad by the larger, drop the first row."""
    if pair(stride, "conv2d", "stride") != (1, 1):
        raise ValueError(f'conv2d: padding="same" wants stride 1, got {stride}')
    total = [d * (k - 1) for d, k in zip(pair(dilation, "conv2d", "dilation"), weight.shape[2:], strict=True)]
    behind = tuple(t - t // 2 for t in total)
    output = conv2d(input, weight, bias, 1, behind, dilation, groups)
    for dim, t in zip((-2, -1), total, strict=True):
        if t % 2:
            output = ops.clone(output.narrow(dim, 1, output.shape[dim] - 1))
    return output


def unfold(input: Tensor, kernel_size, dilation=1, padding=0, stride=1) -> Tensor:
    """im2col: (N, C, H, W) -> (N, C * kh * kw, L), column l holding the pixels under the kernel at position l."""
    _tensor(input, "unfold", "input", 3, 4)
    return _batched(lambda images: ops.im2col(images, kernel_size, dilation, padding, stride), input, 4)


def fold(input: Tensor, output_size, kernel_size, dilation=1, padding=0, stride=1) -> Tensor:
    """col2im: (N, C * kh * kw, L) -> (N, C, H, W); where columns overlap, they are added."""
    _tensor(input, "fold", "input", 2, 3)
    return _batched(lambda columns: ops.col2im(columns, output_size, kernel_size, dilation, padding, stride), input, 3)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input (..., in) times weight (out, in) transposed, plus bias (out): (..., out)."""
    _tensor(input, "linear", "input")
    _tensor(weight, "linear", "weight", 2)
    if bias is not None:
        _tensor(bias, "linear", "bias", 1)
    if input.ndim == 2:
        return ops.linear(input, weight, bias)
    features = weight.shape[1]
    if input.ndim == 0 or input.shape[-1] != features:
        raise ValueError(
            f"linear: the last dimension of input must be {features}, as weight is {weight.shape}; got {input.shape}"
        )
    rows = 1
    for length in input.shape[:-1]:
        rows *= length
    return ops.linear(input.reshape(rows, features), weight, bias).reshape(*input.shape[:-1], weight.shape[0])


# ---------------------------------------------------------------------------------------------------------------------
# Pooling
# ---------------------------------------------------------------------------------------------------------------------


def max_pool2d(
    input: Tensor,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode: bool = False,
    return_indices: bool = False,
):
    """The largest value of each window; of equal ones, the first. stride None means kernel_size.

    input: (N, C, H, W) or (C, H, W). With return_indices=True also the int64 positions h * W + w of the values.
    """
    _tensor(input, "max_pool2d", "input", 3, 4)
    images = input if input.ndim == 4 else input.unsqueeze(0)
    output, indices = ops.max_pool2d(
        images, kernel_size, stride, padding, dilation, ceil_mode, short_indices=not return_indices
    )
    if input.ndim == 3:
        output, indices = output.squeeze(0), indices.squeeze(0)
    return (output, indices) if return_indices else output


def avg_pool2d(
    input: Tensor,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override=None,
) -> Tensor:
    """The average of each window. stride None means kernel_size; count_include_pad: padded zeros count as pixels."""
    _tensor(input, "avg_pool2d", "input", 3, 4)
    geometry = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return _batched(lambda images: ops.avg_pool2d(images, *geometry), input, 4)


# ---------------------------------------------------------------------------------------------------------------------
# Activations and losses
# ---------------------------------------------------------------------------------------------------------------------


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(input, 0)."""
    if inplace:
        raise NotImplementedError("relu: inplace=True is not supported; the result is a new tensor")
    return ops.relu(_tensor(input, "relu", "input"))


def softmax(input: Tensor, dim: int | None = None, dtype=None) -> Tensor:
    """exp(x) / sum(exp(x)) along dim. dtype: convert the input first."""
    return ops.softmax(_converted(input, dtype, "softmax"), _required(dim, "softmax"))


def log_softmax(input: Tensor, dim: int | None = None, dtype=None) -> Tensor:
    """log(softmax(x)) along dim, without overflow. dtype: convert the input first."""
    return ops.log_softmax(_converted(input, dtype, "log_softmax"), _required(dim, "log_softmax"))


def _converted(input: Tensor, dtype, function: str) -> Tensor:
    _tensor(input, function, "input")
    return input if dtype is None else input.to(dtype)


def _required(dim: int | None, function: str) -> int:
    if dim is None:
        raise TypeError(f"{function}: dim must be given: the dimension over which the probabilities sum to 1")
    return dim


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average=None,
    ignore_index: int = -100,
    reduce=None,
    reduction: str = "mean",
) -> Tensor:
    """The negative log-likelihood of the target classes.

    input: log-probabilities (N, C), (N, C, d1, ...) or (C). target: int64 classes (N), (N, d1, ...) or ().
    weight: one factor a class (C). Targets equal to ignore_index do not count. reduction: "none", "mean" or "sum".
    """
    _check_loss("nll_loss", input, target, weight, size_average, reduce, reduction)
    _check_classes("nll_loss", input, target)
    loss, _ = ops.nll_loss(_with_batch(input), _with_batch_target(input, target), weight, reduction, ignore_index)
    return loss.squeeze(0) if input.ndim == 1 and reduction == "none" else loss


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average=None,
    ignore_index: int = -100,
    reduce=None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """log_softmax over the classes followed by nll_loss, computed in one go by log-sum-exp.

    input: logits (N, C), (N, C, d1, ...) or (C). target: int64 classes (N), (N, d1, ...) or (); or the probabilities
    of all classes, in the shape and dtype of input.
    weight: one factor a class (C). Targets equal to ignore_index do not count. reduction: "none", "mean" or "sum".
    label_smoothing: this share of the target is spread evenly over all classes.
    """
    _check_loss("cross_entropy", input, target, weight, size_average, reduce, reduction)
    if target.is_floating_point() and target.shape == input.shape:
        return _cross_entropy_of_probabilities(input, target, weight, ignore_index, reduction, label_smoothing)
    _check_classes("cross_entropy", input, target)
    loss, *_ = ops.cross_entropy(
        _with_batch(input), _with_batch_target(input, target), weight, reduction, ignore_index, label_smoothing
    )
    return loss.squeeze(0) if input.ndim == 1 and reduction == "none" else loss


def _cross_entropy_of_probabilities(input, target, weight, ignore_index, reduction, label_smoothing) -> Tensor:
    """The sum over the classes of -weight * target * log_softmax(input). "mean" is that of all places alike."""
    if ignore_index >= 0:
        raise ValueError(
            f"cross_entropy: target holds probabilities, so there is no class {ignore_index} to ignore; leave "
            "ignore_index out"
        )
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing is {label_smoothing}; wanted a number from 0 to 1")
    for name, other in (("the probabilities in target", target), ("weight", weight)):
        if other is not None and other.dtype != input.dtype:
            raise TypeError(
                f"cross_entropy: input has dtype {input.dtype.name} and {name} {other.dtype.name}; convert one of "
                "them: x.float(), x.double()"
            )
    classes_dim = 0 if input.ndim == 1 else 1
    classes = input.shape[classes_dim]
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / max(classes, 1)
    if weight is not None:
        if weight.shape != (classes,):
            raise ValueError(f"cross_entropy: weight must have shape ({classes},), got {weight.shape}")
        target = target * weight.reshape(classes, *(1 for _ in input.shape[classes_dim + 1 :]))
    losses = -(ops.log_softmax(input, classes_dim) * target).sum(classes_dim)
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    return losses.sum() / (losses.numel() if classes else 0)  # of no classes NaN, as of no places


def _check_loss(function, input, target, weight, size_average, reduce, reduction) -> None:
    """Checks what both losses share."""
    _tensor(input, function, "input")
    _tensor(target, function, "target")
    if weight is not None:
        _tensor(weight, function, "weight", 1)
    if size_average is not None or reduce is not None:
        raise NotImplementedError(
            f'{function}: size_average and reduce are torch\'s old arguments; use reduction="mean", "sum" or "none"'
        )
    if reduction not in _REDUCTIONS:
        raise ValueError(f'{function}: reduction must be "none", "mean" or "sum", got {reduction!r}')
    if input.ndim == 0:
        raise ValueError(f"{function}: input must have a dimension of classes, got a single number")


def _check_classes(function: str, input: Tensor, target: Tensor) -> None:
    """Checks a target of class numbers."""
    if target.is_floating_point():
        raise TypeError(
            f"{function}: target must hold class numbers (int64), got {target.dtype.name}; convert it: target.long()"
        )
    if target.dtype != backend.int64:
        raise TypeError(f"{function}: target must have dtype int64, got {target.dtype.name}; convert it: target.long()")
    wanted = () if input.ndim == 1 else (input.shape[0], *input.shape[2:])
    if target.shape != wanted:
        raise ValueError(
            f"{function}: target must have shape {wanted} for input of shape {input.shape}, got shape {target.shape}"
        )


def _with_batch(input: Tensor) -> Tensor:
    return input.unsqueeze(0) if input.ndim == 1 else input


def _with_batch_target(input: Tensor, target: Tensor) -> Tensor:
    return target.unsqueeze(0) if input.ndim == 1 else target
