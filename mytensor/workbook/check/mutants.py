"""Bugs planted in the results of a function, which its check must reject.

They imitate kernels that were wrong in published code. Each takes an Attempt (a case that the function has passed) and
returns results with the bug in them, or None where the case cannot show it (one channel cannot be scrambled).
tests/mutants/ plants the like in the C++ source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mytensor.workbook.check.references import Pair, windows_of

if TYPE_CHECKING:
    from mytensor.workbook.check.operation import Attempt

Results = dict[str, np.ndarray]  # "output", "input gradient", ... -> values
Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Mutant:
    """A planted bug: its name, and the way to plant it."""

    name: str
    plant: Callable[[Attempt], Results | None]


def _differing(attempt: Attempt, changed: Results) -> Results | None:
    """The attempt's results with some replaced; None if that changes nothing."""
    same = all(
        attempt.got[key].shape == values.shape
        and np.array_equal(attempt.got[key], values, equal_nan=values.dtype.kind == "f")
        for key, values in changed.items()
    )
    return None if same else {**attempt.got, **changed}


def _gradients(attempt: Attempt) -> list[str]:
    return [key for key in attempt.got if key.endswith("gradient")]


def _each(change: Change, gradients_only: bool = False) -> Callable[[Attempt], Results | None]:
    """Plants `change` in the first result that it alters."""

    def plant(attempt: Attempt) -> Results | None:
        for key in _gradients(attempt) if gradients_only else attempt.got:
            if attempt.got[key].size:
                mutated = _differing(attempt, {key: change(attempt.got[key].copy())})
                if mutated is not None:
                    return mutated
        return None

    return plant


def _with_last(values: np.ndarray, value: Any) -> np.ndarray:
    if values.dtype.kind == "f" or np.isfinite(value):
        values.reshape(-1)[-1] = value
    return values


def _channels_exchanged(values: np.ndarray) -> np.ndarray:
    return np.roll(values, 1, axis=1) if values.ndim >= 2 else np.roll(values, 1)


def _rows_and_columns_mixed(values: np.ndarray) -> np.ndarray:
    if values.ndim < 2:
        return values
    *others, height, width = values.shape
    return np.ascontiguousarray(values.reshape(*others, width, height).swapaxes(-1, -2))


def _upstream_ignored(attempt: Attempt) -> Results | None:
    if attempt.upstream is None or not _gradients(attempt) or not attempt.upstream.size:
        return None
    ones = attempt.call(upstream=np.ones_like(attempt.upstream))
    return _differing(attempt, {key: ones[key] for key in _gradients(attempt)})


def _last_changed(values: np.ndarray) -> np.ndarray:
    values.reshape(-1)[-1:] = not values.reshape(-1)[-1]  # 0, or 1 where it was 0
    return values


# What a kernel leaves in a result when it goes wrong.
RESULT_CHANGES: dict[str, Change] = {
    "the last element never written (stale)": lambda values: _with_last(values, values.reshape(-1)[0]),
    "an element is NaN": lambda values: _with_last(values, np.nan),
    "channels exchanged": _channels_exchanged,
    "rows and columns mixed up": _rows_and_columns_mixed,
}

# What a kernel sees of an argument that it reads wrongly: not to the end, backwards, from the wrong place.
ARGUMENT_CHANGES: dict[str, Change] = {
    "without its last element": _last_changed,
    "turned round": np.flip,
    "moved by one place": lambda values: np.roll(values, 1),
}

COMMON = (
    *(Mutant(name, _each(change)) for name, change in RESULT_CHANGES.items()),
    Mutant("gradients exchanged between channels", _each(_channels_exchanged, gradients_only=True)),
    Mutant(
        "gradient scaled by the batch size", _each(lambda values: values * values.dtype.type(2), gradients_only=True)
    ),
    Mutant("upstream gradient taken as ones", _upstream_ignored),
)


def _with_argument(name: str, change: Change, *, of: str = "output") -> Callable[[Attempt], Results | None]:
    """Calls the function with argument `name` changed, and passes one result, `of`, off as that of the case."""

    def plant(attempt: Attempt) -> Results | None:
        if name not in attempt.case.arguments or of not in attempt.got:
            return None
        changed = np.ascontiguousarray(change(attempt.case.arguments[name]))
        return _differing(attempt, {of: attempt.call({name: changed})[of]})

    return plant


def _flipped(weight: np.ndarray) -> np.ndarray:
    return weight[..., ::-1, ::-1]


KERNEL_FLIPPED = Mutant("kernel flipped", _with_argument("weight", _flipped))
INPUT_GRADIENT_KERNEL_NOT_FLIPPED = Mutant(
    "kernel not flipped in the input gradient", _with_argument("weight", _flipped, of="input gradient")
)
KERNEL_SIDES_SWAPPED = Mutant(
    "kernel height and width swapped",
    _with_argument("weight", lambda w: w.reshape(*w.shape[:2], w.shape[3], w.shape[2]).swapaxes(2, 3)),
)
PADDING_OFF_BY_ONE = Mutant("padding off by one", _with_argument("input", lambda x: np.roll(x, 1, axis=-1)))
BIAS_FORGOTTEN = Mutant("bias forgotten", _with_argument("bias", np.zeros_like))


def _without_last_column(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x[..., -1:] = 0
    return x


def _last_term_dropped(attempt: Attempt) -> Results | None:
    first_argument = next(iter(attempt.case.arguments))
    return _with_argument(first_argument, _without_last_column)(attempt)


LAST_TERM_DROPPED = Mutant("last term of the sum dropped", _last_term_dropped)


def _fold_overwriting(columns: np.ndarray, output_size: Pair, **options: Any) -> np.ndarray:
    """col2im with `=` where `+=` is right: of overlapping windows the last one wins."""
    height, width = output_size
    windows = windows_of(output_size, **options)
    kernel, padding, stride, dilation, down, across = windows
    columns = columns.reshape(len(columns), columns.shape[1] // windows.kernel_area, *kernel, down, across)
    image = np.zeros((*columns.shape[:2], height + 2 * padding[0], width + 2 * padding[1]), columns.dtype)
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            top, left = row * dilation[0], column * dilation[1]
            rows = slice(top, top + stride[0] * (down - 1) + 1, stride[0])
            image[:, :, rows, left : left + stride[1] * (across - 1) + 1 : stride[1]] = columns[:, :, row, column]
    return image[:, :, padding[0] : padding[0] + height, padding[1] : padding[1] + width]


def _input_gradient_overwriting(attempt: Attempt) -> Results | None:
    options = dict(attempt.case.options)
    weight, x = attempt.case.arguments["weight"], attempt.case.arguments["input"]
    gradient, upstream = attempt.got.get("input gradient"), attempt.upstream
    if gradient is None or upstream is None or options.pop("groups", 1) != 1 or x.ndim != 4 or x.size == 0:
        return None
    out_channels = weight.shape[0]
    flat_upstream = upstream.reshape(len(x), out_channels, -1)
    columns = np.einsum("ok,nol->nkl", weight.reshape(out_channels, -1), flat_upstream)
    overwritten = _fold_overwriting(columns, x.shape[2:], kernel_size=weight.shape[2:], **options)
    return _differing(attempt, {"input gradient": overwritten.astype(gradient.dtype)})


def _fold_overwrites(attempt: Attempt) -> Results | None:
    columns, output = attempt.case.arguments["columns"], attempt.got["output"]
    overwritten = _fold_overwriting(columns, **attempt.case.options)
    return _differing(attempt, {"output": overwritten.astype(output.dtype)})


INPUT_GRADIENT_NOT_ACCUMULATED = Mutant("`=` for `+=` in col2im", _input_gradient_overwriting)
FOLD_OVERWRITES = Mutant("`=` for `+=` in col2im", _fold_overwrites)


def _rows_overwritten(attempt: Attempt) -> Results | None:
    gradient = attempt.got.get("input gradient")
    if gradient is None:
        return None
    overwritten = np.zeros_like(gradient)
    overwritten[attempt.case.arguments["index"]] = attempt.upstream
    return _differing(attempt, {"input gradient": overwritten})


ROWS_OVERWRITTEN = Mutant("`=` for `+=` where an index repeats", _rows_overwritten)


def _last_of_ties(attempt: Attempt) -> Results | None:
    """Routes each upstream element to the last maximum of its window. Only for windows side by side, not padded."""
    x, options = attempt.case.arguments["input"], attempt.case.options
    gradient, upstream = attempt.got.get("input gradient"), attempt.upstream
    if gradient is None or upstream is None or set(options) != {"kernel_size"} or x.size == 0:
        return None
    kernel = options["kernel_size"]
    height, width = (length // kernel * kernel for length in x.shape[2:])
    blocks = (
        x[:, :, :height, :width]
        .reshape(*x.shape[:2], height // kernel, kernel, width // kernel, kernel)
        .transpose(0, 1, 2, 4, 3, 5)
    )
    blocks = blocks.reshape(*blocks.shape[:4], kernel * kernel)
    last = kernel * kernel - 1 - np.argmax(blocks[..., ::-1], axis=-1)
    routed = np.zeros_like(gradient)
    for n, c, row, column in np.ndindex(*last.shape):
        down, right = divmod(int(last[n, c, row, column]), kernel)
        routed[n, c, row * kernel + down, column * kernel + right] = upstream[n, c, row, column]
    return _differing(attempt, {"input gradient": routed})


LAST_OF_TIES = Mutant("the last of equal elements wins", _last_of_ties)


def _padded_with_zero(attempt: Attempt) -> Results | None:
    if not attempt.case.options.get("padding") or (attempt.case.arguments["input"] >= 0).any():
        return None
    output = attempt.got["output"].copy()
    output[:, :, 0, :] = np.maximum(output[:, :, 0, :], 0)
    return _differing(attempt, {"output": output})


PADDED_WITH_ZERO = Mutant("padding by 0 instead of minus infinity", _padded_with_zero)


def _padding_count_swapped(attempt: Attempt) -> Results | None:
    options = attempt.case.options
    if "divisor_override" in options:
        return None
    results = attempt.call(options={"count_include_pad": not options.get("count_include_pad", True)})
    return _differing(attempt, {"output": results["output"]})


PADDING_COUNT_SWAPPED = Mutant("count_include_pad swapped", _padding_count_swapped)


def _maximum_not_subtracted(attempt: Attempt) -> Results | None:
    """exp of the logits as they are: infinite for large ones, and infinity / infinity is NaN."""
    logits = attempt.case.arguments["input"]
    with np.errstate(over="ignore"):
        overflows = np.isinf(np.exp(logits)).any()
    if not overflows:
        return None
    overflown = np.where(np.isfinite(attempt.got["output"]), logits.dtype.type(np.inf), 0).astype(logits.dtype)
    return _differing(attempt, {"output": overflown})


MAXIMUM_NOT_SUBTRACTED = Mutant("log-sum-exp without subtracting the maximum", _maximum_not_subtracted)


def _loss_divided_twice(attempt: Attempt) -> Results | None:
    batch = attempt.case.arguments["target"].size
    if attempt.case.options.get("reduction", "mean") != "mean" or batch < 2:
        return None
    return _differing(attempt, {key: values / values.dtype.type(batch) for key, values in attempt.got.items()})


def _ignored_counted(attempt: Attempt) -> Results | None:
    options, target = attempt.case.options, attempt.case.arguments["target"]
    ignored = (target == options.get("ignore_index", -100)).sum()
    if options.get("reduction", "mean") != "mean" or "weight" in options or not ignored:
        return None
    share = (target.size - ignored) / target.size
    return _differing(attempt, {key: values * values.dtype.type(share) for key, values in attempt.got.items()})


LOSS_DIVIDED_TWICE = Mutant("divided by the batch size twice", _loss_divided_twice)
IGNORED_COUNTED = Mutant("ignored labels counted in the mean", _ignored_counted)


def _with_options(**changed: Any) -> Callable[[Attempt], Results | None]:
    """Calls the function with other values of the options that a case has, and passes the results off as its own."""

    def plant(attempt: Attempt) -> Results | None:
        present = {name: value for name, value in changed.items() if name in attempt.case.options}
        return _differing(attempt, attempt.call(options=present)) if present else None

    return plant


MOMENTUM_FORGOTTEN = Mutant("momentum forgotten", _with_options(momentum=0.0, nesterov=False))
WEIGHT_DECAY_FORGOTTEN = Mutant("weight decay forgotten", _with_options(weight_decay=0.0))
DAMPENING_FORGOTTEN = Mutant("dampening forgotten", _with_options(dampening=0.0))
NESTEROV_FORGOTTEN = Mutant("Nesterov's look ahead forgotten", _with_options(nesterov=False))


def _scaled(factor: Callable[[Attempt], float]) -> Callable[[Attempt], Results | None]:
    def plant(attempt: Attempt) -> Results | None:
        output = attempt.got["output"]
        return _differing(attempt, {"output": output * output.dtype.type(factor(attempt))})

    return plant


def _root_of_receptive_field(attempt: Attempt) -> float:
    return float(np.sqrt(np.prod(attempt.case.arguments["weight"].shape[2:])))


def _fan_in_alone(attempt: Attempt) -> float:
    outputs, inputs = attempt.case.arguments["weight"].shape[:2]
    return float(np.sqrt((inputs + outputs) / (2 * inputs)))


FAN_OUT_FOR_FAN_IN = Mutant("fan_out in the place of fan_in", _with_options(mode="fan_out"))
GAIN_FORGOTTEN = Mutant("the gain forgotten", _with_options(nonlinearity="linear", gain=1.0))
RECEPTIVE_FIELD_FORGOTTEN = Mutant("a kernel's pixels not counted", _scaled(_root_of_receptive_field))
DEVIATION_AS_BOUND = Mutant("the standard deviation taken as the bound", _scaled(lambda attempt: 1 / np.sqrt(3)))
FAN_IN_ALONE = Mutant("fan_in alone", _scaled(_fan_in_alone))


def _hindered(method: str) -> Callable[[Attempt], Results | None]:
    """Runs a training step with an optimizer whose `method` does nothing."""

    def plant(attempt: Attempt) -> Results | None:
        def step(model: Any, optimizer: Any, images: Any, labels: Any) -> Any:
            setattr(optimizer, method, lambda *arguments, **options: None)
            return attempt.function(model, optimizer, images, labels)

        return _differing(attempt, replace(attempt, function=step).call())

    return plant


def _step_of_a_smaller_loss(attempt: Attempt) -> Results | None:
    """The gradient divided by the batch once more, in the gradient and in the step that was made with it."""
    gradient, parameter = attempt.got["output"]
    smaller = gradient / len(attempt.case.arguments["images"])
    moved = parameter + attempt.case.options["lr"] * (gradient - smaller)
    return _differing(attempt, {"output": np.stack([smaller, moved])})


GRADIENTS_NOT_CLEARED = Mutant("the gradients of the step before not cleared", _hindered("zero_grad"))
STEP_FORGOTTEN = Mutant("the optimizer's step forgotten", _hindered("step"))
LABELS_OF_OTHER_IMAGES = Mutant("labels of other images", _with_argument("labels", lambda labels: np.roll(labels, 1)))
STEP_OF_A_SMALLER_LOSS = Mutant("the loss divided by the batch size twice", _step_of_a_smaller_loss)


def _evaluated(attempt: Attempt, first: int, last: int) -> np.ndarray:
    arguments = {name: values[first:last] for name, values in attempt.case.arguments.items()}
    return attempt.call(arguments)["output"]


def _means_of_batches(attempt: Attempt) -> Results | None:
    count, batch = len(attempt.case.arguments["labels"]), 500
    means = [_evaluated(attempt, first, first + batch) for first in range(0, count, batch)]
    return _differing(attempt, {"output": np.mean(means, axis=0)})


def _last_image_left_out(attempt: Attempt) -> Results | None:
    return _differing(attempt, {"output": _evaluated(attempt, 0, len(attempt.case.arguments["labels"]) - 1)})


MEAN_OF_BATCHES = Mutant("the mean of the batches' means", _means_of_batches)
LAST_IMAGE_LEFT_OUT = Mutant("the last image left out", _last_image_left_out)
