"""Checking an op: run it and its backward on drawn cases, compare with float64 torch, prove that the check can fail."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mytensor.check import mutants
from mytensor.check.cases import FAMILIES, Case, Draw, Family
from mytensor.check.comparison import CheckFailed, close, equal, require_same_shape_and_dtype, rounding_bound, to_numpy

Results = dict[str, np.ndarray]  # "output", "input gradient", ... -> values


@dataclass
class Attempt:
    """One case, what the function made of it, and what is wanted. Mutants work on this."""

    case: Case
    upstream: np.ndarray | None  # dloss/doutput, random; None where the op has no gradient
    wanted: Results
    bounds: Results
    function: Callable
    convert: Callable
    name: str
    seed: int
    got: Results | None = None

    def call(
        self, arguments: Results | None = None, options: dict | None = None, upstream: np.ndarray | None = None
    ) -> Results:
        """Runs the function forward and backward; arguments, options and upstream replace the case's own."""
        arguments = {**self.case.arguments, **(arguments or {})}
        options = {**self.case.options, **(options or {})}
        upstream = self.upstream if upstream is None else upstream
        tensors = {key: self.convert(values.copy()) for key, values in arguments.items()}
        converted = {
            key: self.convert(value.copy()) if isinstance(value, np.ndarray) else value
            for key, value in options.items()
        }
        trainable = []
        if upstream is not None:
            trainable = [key for key in self.case.trainable if hasattr(tensors[key], "requires_grad_")]
        for key in trainable:
            tensors[key].requires_grad_()

        output = self.case.call(self.function, list(tensors.values()), converted)
        results = self._outputs(output)
        if trainable:
            first = output[0] if isinstance(output, tuple) else output
            first.backward(self.convert(upstream.copy()))
            for key in trainable:
                if tensors[key].grad is None:
                    raise CheckFailed(f"{self.label}: {key} got no gradient (seed={self.seed})")
                results[f"{key} gradient"] = to_numpy(tensors[key].grad).copy()
        return results

    def _outputs(self, output: Any) -> Results:
        """The outputs by name, of the right shape and dtype: backward could not even start from others."""
        outputs = output if isinstance(output, tuple) else (output,)
        results = {}
        for key, value in zip(self.case.output_names, outputs, strict=True):
            results[key] = to_numpy(value).copy()
            wanted = self.wanted[key]
            dtype = self.case.dtype if wanted.dtype.kind == "f" else wanted.dtype
            require_same_shape_and_dtype(f"{self.label}: {key}", results[key], wanted.shape, dtype, self.seed)
        return results

    def compare(self, results: Results) -> None:
        """Raises CheckFailed unless every output and gradient in `results` is within its bound."""
        for key, values in results.items():
            options = {"name": f"{self.label}: {key}", "seed": self.seed}
            wanted = self.wanted[key]
            if wanted.dtype.kind == "f":
                close(values, wanted, bound=self.bounds[key], dtype=self.case.dtype, **options)
            else:
                equal(values, wanted, **options)

    @property
    def label(self) -> str:
        arrays = ", ".join(f"{key} {values.dtype} {values.shape}" for key, values in self.case.arguments.items())
        options = "".join(
            f", {key}={value.tolist() if isinstance(value, np.ndarray) else value}"
            for key, value in self.case.options.items()
        )
        return f"{self.name}({arrays}{options})"


@dataclass
class Report:
    """What a passed check has shown. str() of it is the line that is printed."""

    name: str
    compared: list[str]  # "output", "input gradient", ...
    cases: int
    formula: str
    mutants: list[str]  # the planted bugs that were rejected

    def __str__(self) -> str:
        return (
            f"✓ {self.name}: {', '.join(self.compared)} agree with float64 on {self.cases} cases, {self.formula}; "
            f"{len(self.mutants)} planted bugs rejected"
        )


def names() -> list[str]:
    """The ops there is a check for."""
    return sorted(FAMILIES)


def op(name: str, function: Callable, *, convert: Callable | None = None, seed: int | None = None) -> None:
    """Checks `function` as the op `name` and prints one line; raises CheckFailed when it is wrong. See the package's docstring.

    name: one of check.names(); its docstring in cases.py says how the function is called (as torch's of that name).
    convert: numpy array -> what the function takes; left out, mt.tensor.
    seed: repeats the draws of a check that failed; left out, they are fresh.
    """
    print(examine(name, function, convert=convert, seed=seed))


def examine(name: str, function: Callable, *, convert: Callable | None = None, seed: int | None = None) -> Report:
    """As op, but returns the Report instead of printing it."""
    if name not in FAMILIES:
        raise ValueError(f"check: there is no check named {name!r}; there are {', '.join(names())}")
    family = FAMILIES[name]
    seed = secrets.randbelow(2**32) if seed is None else seed
    attempts = list(_attempts(name, family, function, convert or _tensor_maker(), seed))
    with _watched_memory():
        for attempt in attempts:
            try:
                attempt.got = attempt.call()
            except CheckFailed:
                raise
            except Exception as error:
                error.add_note(f"while checking {attempt.label} (seed={seed})")
                raise
            attempt.compare(attempt.got)
        _check_red_zones()
        rejected = _reject_mutants(family, attempts)
    compared = list(dict.fromkeys(key for attempt in attempts for key in attempt.got or {}))
    return Report(name, compared, len(attempts), family.formula, rejected)


def _tensor_maker() -> Callable:
    import mytensor

    return mytensor.tensor


def _attempts(name: str, family: Family, function: Callable, convert: Callable, seed: int) -> Iterator[Attempt]:
    """Draws the family's cases in float32 and float64, and computes what is wanted."""
    for dtype in (np.float32, np.float64):
        draw = Draw(np.random.default_rng([seed, np.dtype(dtype).itemsize]), dtype)
        for case in family.draw(draw):
            output = case.reference_outputs()["output"]
            upstream = draw.normal(*output.shape) if case.trainable else None
            wanted, magnitudes = case.wanted(upstream)
            bounds = {
                key: rounding_bound(dtype, case.length_of(key), magnitude) for key, magnitude in magnitudes.items()
            }
            yield Attempt(case, upstream, wanted, bounds, function, convert, name, seed)


def _reject_mutants(family: Family, attempts: list[Attempt]) -> list[str]:
    """Replays the comparison with planted bugs; raises if one passes. Returns the names of those that could be planted."""
    rejected = []
    for mutant in (*mutants.COMMON, *family.mutants):
        planted = False
        for attempt in attempts:
            results = mutant.plant(attempt)
            if results is None:
                continue
            planted = True
            try:
                attempt.compare(results)
            except CheckFailed:
                rejected.append(mutant.name)
                break
        else:
            if planted:
                raise CheckFailed(f"this check is blind: it passes with the planted bug '{mutant.name}'")
    return rejected


@contextlib.contextmanager
def _watched_memory() -> Iterator[None]:
    """New arrays are filled with NaN and stand between red zones, so that an element never written, or one written outside, is seen."""
    import mytensor_backend

    mode = mytensor_backend.memory_mode()
    mytensor_backend.set_memory_mode("debug")
    try:
        yield
    finally:
        mytensor_backend.set_memory_mode(mode)


def _check_red_zones() -> None:
    import mytensor_backend

    try:
        mytensor_backend.check_red_zones()
    except RuntimeError as error:
        raise CheckFailed(str(error)) from None
