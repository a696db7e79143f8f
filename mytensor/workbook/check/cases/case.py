"""One example that an op is checked on, and the random arrays that examples are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Arrays = dict[str, np.ndarray]
Options = dict[str, Any]
# (arguments, |upstream|, wanted) -> {result name: magnitude}. |upstream| is 0 where nothing is differentiated.
Magnitude = Callable[[Arrays, np.ndarray, Arrays], Arrays]
# (function, tensors, options) -> output
Call = Callable[[Callable[..., Any], list, Options], Any]


def _call_plainly(function: Callable[..., Any], tensors: list, options: Options) -> Any:
    return function(*tensors, **options)


def positional(*values: Any) -> Call:
    """A call that gives `values` by position behind the tensors: torch and mytensor name them differently."""
    return lambda function, tensors, options: function(*tensors, *values, **options)


@dataclass
class Case:
    """One example of an op.

    arguments: name -> array, in the order of the call.
    reference: called as the checked function is, with float64 torch tensors.
    options: keyword arguments behind them; arrays among them become tensors.
    length: K, for all results or by name ("output", "input gradient", ...); 0 means exact. A result not named has 1.
    magnitude: where (|a| op |b|) comes from. "absolute": the reference and its backward on absolute values.
        "pointwise": |want| for the output, the backward of absolute upstream for gradients (each element depends on one
        input, or is a copy of it). Else a function, see Magnitude; what it gives is float64.
    trainable: the arguments to differentiate by; left out, all floating ones.
    call: how the function is called, where it does not take the tensors one by one.
    dtype: of the floating results; left out, that of the floating arguments.
    """

    arguments: Arrays
    reference: Callable[..., Any]
    options: Options = field(default_factory=dict)
    length: int | dict[str, int] = 1
    magnitude: Literal["absolute", "pointwise"] | Magnitude = "absolute"
    trainable: list[str] | None = None
    call: Call = _call_plainly
    dtype: np.dtype | None = None

    @property
    def differentiated(self) -> list[str]:
        """The names of the arguments that get a gradient."""
        return self._floating if self.trainable is None else self.trainable

    @property
    def result_dtype(self) -> np.dtype:
        """What dtype the floating results must have."""
        return self.arguments[self._floating[0]].dtype if self.dtype is None else self.dtype

    @property
    def _floating(self) -> list[str]:
        return [name for name, values in self.arguments.items() if values.dtype.kind == "f"]

    def length_of(self, result: str) -> int:
        """K of one result."""
        return self.length if isinstance(self.length, int) else self.length.get(result, 1)

    def reference_output(self) -> np.ndarray:
        """The output in float64, without gradients."""
        return self.evaluate(self.arguments, None)["output"]

    def wanted(self, upstream: np.ndarray | None) -> tuple[Arrays, Arrays]:
        """Output and gradients in float64, and for the floating ones their magnitudes."""
        wanted = self.evaluate(self.arguments, upstream)
        size = None if upstream is None else np.abs(upstream)
        if callable(self.magnitude):
            magnitudes = self.magnitude(self.arguments, np.zeros(()) if size is None else size, wanted)
        elif self.magnitude == "absolute":
            absolute = {
                name: np.abs(values) if values.dtype.kind == "f" else values for name, values in self.arguments.items()
            }
            magnitudes = self.evaluate(absolute, size)
        else:
            magnitudes = self.evaluate(self.arguments, size)
        return wanted, {name: np.abs(magnitudes[name]) for name, values in wanted.items() if values.dtype.kind == "f"}

    def evaluate(self, arguments: Arrays, upstream: np.ndarray | None) -> Arrays:
        """The reference's output for these arguments, and with an upstream gradient its gradients, in float64."""
        # On the CPU in float64, so TF32, which torch may use for float32 on a GPU, plays no part.
        from mytensor.optional import torch

        def tensor(values: np.ndarray) -> torch.Tensor:
            return torch.tensor(values.astype(np.float64) if values.dtype.kind == "f" else values)

        tensors = {name: tensor(values) for name, values in arguments.items()}
        options = {
            name: tensor(value) if isinstance(value, np.ndarray) else value for name, value in self.options.items()
        }
        if upstream is not None:
            for name in self.differentiated:
                tensors[name].requires_grad_()
        output = self.call(self.reference, list(tensors.values()), options)
        results = {"output": _values_of(output)}
        if upstream is not None:
            output.backward(torch.tensor(upstream.astype(np.float64)))
            for name in self.differentiated:
                results[f"{name} gradient"] = _values_of(tensors[name].grad)
        return results


def _values_of(result: Any) -> np.ndarray:
    """A numpy array from one of a torch tensor; torch's bool becomes uint8, which is what mytensor has for it."""
    values = result if isinstance(result, np.ndarray) else result.detach().numpy()
    return values.view(np.uint8) if values.dtype == np.bool_ else values


class Draw:
    """Random arrays of one dtype."""

    def __init__(self, rng: np.random.Generator, dtype: np.dtype) -> None:
        self.rng = rng
        self.dtype = dtype

    def normal(self, *shape: int) -> np.ndarray:
        """Standard normal."""
        return np.asarray(self.rng.standard_normal(shape)).astype(self.dtype)

    def positive(self, *shape: int) -> np.ndarray:
        """Uniform from 0.25 to 2."""
        return np.asarray(self.rng.uniform(0.25, 2, shape)).astype(self.dtype)

    def tied(self, *shape: int) -> np.ndarray:
        """-1, 0 or 1: full of ties."""
        return self.rng.integers(-1, 2, shape).astype(self.dtype)

    def integers(self, low: int, high: int, *shape: int) -> np.ndarray:
        """int64, from low to high - 1."""
        return self.rng.integers(low, high, shape)
