"""References and error sizes that torch does not offer, in numpy and float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Pair = tuple[int, int]  # (height, width)


def pair(value: int | Pair) -> Pair:
    """3 -> (3, 3); (3, 5) stays."""
    return value if isinstance(value, tuple) else (value, value)


class Windows(NamedTuple):
    """Where a kernel that slides over an image stands: its options as pairs, and how many places it takes."""

    kernel: Pair
    padding: Pair
    stride: Pair
    dilation: Pair
    down: int
    across: int

    @property
    def kernel_area(self) -> int:
        return self.kernel[0] * self.kernel[1]


def windows_of(
    image: Sequence[int],
    kernel_size: int | Pair,
    padding: int | Pair = 0,
    stride: int | Pair = 1,
    dilation: int | Pair = 1,
) -> Windows:
    """The windows of an image of (height, width); the options are those of torch's unfold."""
    kernel, padding, stride, dilation = pair(kernel_size), pair(padding), pair(stride), pair(dilation)
    down, across = (
        (length + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i, length in enumerate(image)
    )
    return Windows(kernel, padding, stride, dilation, down, across)


def sum_to_shape(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sums over the dimensions along which an array of `shape` was broadcast to values.shape."""
    values = values.sum(axis=tuple(range(values.ndim - len(shape))))
    stretched = tuple(axis for axis, length in enumerate(shape) if length == 1 and values.shape[axis] != 1)
    return values.sum(axis=stretched, keepdims=True)


class SoftmaxSizes(NamedTuple):
    """How large the errors of a softmax over K logits x can be, in units of eps; shaped like x, or 1 along dim.

    relative: of y = exp(x - m) / sum exp(x - m): rounding x - m moves the exponent by |x - m| eps/2, in the term itself
        and on average (weighted by y) in the sum; the sum of K terms, exp and the division add K + 8.
    absolute: of log-sum-exp = m + log(sum exp(x - m)): the sum's relative error becomes the logarithm's absolute one;
        m, the logarithm and their sum are rounded.
    """

    relative: np.ndarray
    absolute: np.ndarray


def softmax_sizes(logits: np.ndarray, dims: int | tuple[int, ...]) -> SoftmaxSizes:
    """The error sizes of the softmax and log-sum-exp of `logits` over `dims`."""
    x = logits.astype(np.float64)
    dims = (dims,) if isinstance(dims, int) else dims
    count = int(np.prod([x.shape[dim] for dim in dims]))
    m = x.max(axis=dims, keepdims=True)
    powers = np.exp(x - m)
    total = powers.sum(axis=dims, keepdims=True)
    spread = (powers / total * (m - x)).sum(axis=dims, keepdims=True)
    of_sum = count + 8 + spread
    logarithm = np.log(total)
    return SoftmaxSizes(of_sum + (m - x), of_sum + 2 * np.abs(m) + 2 * np.abs(logarithm))


def cross_entropy_sizes(
    logits: np.ndarray,
    target: np.ndarray,
    upstream: np.ndarray,
    weight: np.ndarray | None = None,
    reduction: str = "mean",
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> dict[str, np.ndarray]:
    """Error sizes of cross_entropy and its input gradient, in units of eps.

    With q_c the smoothed, weighted target of class c (0 where the label is ignored), Q = sum_c q_c and W the divisor,
        loss = -sum_c q_c log y_c / W,    d loss / d x_c = (Q y_c - q_c) / W.
    """
    x = np.moveaxis(logits.astype(np.float64), 1, -1)  # classes last
    classes = x.shape[-1]
    weight = np.ones(classes) if weight is None else weight.astype(np.float64)
    valid = target != ignore_index
    label = np.where(valid, target, 0)
    q = (1 - label_smoothing) * weight * (np.arange(classes) == label[..., None]) + label_smoothing / classes * weight
    q = q * valid[..., None]
    divisor = (weight[label] * valid).sum() if reduction == "mean" else 1.0
    sizes = softmax_sizes(x, -1)
    log_y = sizes.absolute + np.abs(x)  # the error of one log y_c
    y = np.exp(x - x.max(-1, keepdims=True))
    y /= y.sum(-1, keepdims=True)
    terms = 1 if reduction == "none" else target.size
    loss = (q * (log_y + (terms + 4) * np.abs(np.log(np.maximum(y, 1e-300))))).sum(-1) / divisor
    up = np.abs(upstream.astype(np.float64))
    up = up[..., None] if reduction == "none" else up
    gradient = up / divisor * (y * q.sum(-1, keepdims=True) * (log_y + sizes.relative) + q * (terms + 8))
    return {"output": loss if reduction == "none" else loss.sum(), "input gradient": np.moveaxis(gradient, -1, 1)}


def gather_batch(
    images: np.ndarray,
    index: np.ndarray,
    mean: np.ndarray,
    std: np.ndarray,
    flip: np.ndarray | None,
    crop: np.ndarray | None,
    padding: int,
) -> np.ndarray:
    """(B, C, H, W) float64: the images that index names, padded by zeros, cropped, mirrored, normalised.

    images: (N, C, H, W) uint8. index: (B). mean, std: (C). flip: (B), 1 where mirrored. crop: (B, 2), (row, column).
    """
    height, width = images.shape[2:]
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    out = np.empty((len(index), *images.shape[1:]))
    for i, number in enumerate(index):
        top, left = (padding, padding) if crop is None else crop[i]
        image = padded[number, :, top : top + height, left : left + width]
        out[i] = image[:, :, ::-1] if flip is not None and flip[i] else image
    return (out / 255 - mean[:, None, None]) / std[:, None, None]


def evaluate(images: np.ndarray, labels: np.ndarray, classes: int) -> tuple[float, float]:
    """(mean loss, accuracy) of a model whose logits are pixel_logits. images: (N, C, H, W) uint8. labels: (N)."""
    logits = pixel_logits(images, classes)
    losses = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(labels)), labels]
    return float(losses.mean()), float((logits.argmax(axis=1) == labels).mean())


def pixel_logits(images: np.ndarray, classes: int) -> np.ndarray:
    """(N, classes): three times the first pixels of each image, normalised by 0.5 and 0.5. Equal ones are exactly
    equal, and others are far apart, so that which is the largest is no question of rounding."""
    return 3 * (images.reshape(len(images), -1)[:, :classes] / 255 - 0.5) / 0.5


# ---------------------------------------------------------------------------------------------------------------------
# Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3; SC 2011)
# ---------------------------------------------------------------------------------------------------------------------


def philox(counter: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """(n, 4) uint32 counters and a key of two 32-bit words -> (n, 4) uint32 random words."""
    words = counter.astype(np.uint64)
    low32 = np.uint64(0xFFFFFFFF)
    first_key, second_key = key
    for _ in range(10):
        products = words[:, 0] * np.uint64(0xD2511F53), words[:, 2] * np.uint64(0xCD9E8D57)
        high, low = [p >> np.uint64(32) for p in products], [p & low32 for p in products]
        words = np.stack(
            [
                high[1] ^ words[:, 1] ^ np.uint64(first_key),
                low[1],
                high[0] ^ words[:, 3] ^ np.uint64(second_key),
                low[0],
            ],
            axis=1,
        )
        first_key, second_key = (first_key + 0x9E3779B9) % 2**32, (second_key + 0xBB67AE85) % 2**32
    return words.astype(np.uint32)


def _fractions(count: int, seed: int, offset: int, dtype: str) -> np.ndarray:
    """`count` fractions in [0, 1), as csrc/cpu/random.cpp defines them.

    Counter offset + i makes four float32 of 24 bits, or two float64 of 53.
    """
    per_counter = 4 if dtype == "float32" else 2
    places = [offset + block for block in range(-(-count // per_counter))]
    counters = np.array([[place % 2**32, place >> 32, 0, 0] for place in places], np.uint32).reshape(-1, 4)
    words = philox(counters, (seed % 2**32, seed >> 32)).astype(np.uint64)
    if dtype == "float32":
        return ((words >> np.uint64(8)) * 2.0**-24).reshape(-1)
    bits53 = (words[:, 0::2] >> np.uint64(5) << np.uint64(26)) | (words[:, 1::2] >> np.uint64(6))
    return (bits53 * 2.0**-53).reshape(-1)


def uniform(shape: tuple[int, ...], low: float, high: float, seed: int, offset: int, dtype: str) -> np.ndarray:
    """Uniform in [low, high), float64 arithmetic on the generator's fractions."""
    count = int(np.prod(shape))
    return (low + (high - low) * _fractions(count, seed, offset, dtype)[:count]).reshape(shape)


def normal(shape: tuple[int, ...], mean: float, std: float, seed: int, offset: int, dtype: str) -> np.ndarray:
    """Normal by Box and Muller: of two neighbouring fractions, the first makes the radius, the second the angle."""
    count = int(np.prod(shape))
    pairs = _fractions(count, seed, offset, dtype).reshape(-1, 2)
    resolution = 2.0**-24 if dtype == "float32" else 2.0**-53
    radius = np.sqrt(-2 * np.log(pairs[:, 0] + resolution))
    angle = 2 * np.pi * pairs[:, 1]
    numbers = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return (mean + std * numbers.reshape(-1)[:count]).reshape(shape)
