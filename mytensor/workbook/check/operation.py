"""Checking an op: run it and its backward on drawn cases, compare with float64 torch, prove that the check can fail."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mytensor.workbook.check import mutants
from mytensor.workbook.check.cases import FAMILIES, Arrays, Case, Draw, Family
from mytensor.workbook.check.comparison import (
    CheckFailed,
    close,
    equal,
    require_same_shape_and_dtype,
    rounding_bound,
    to_numpy,
)

Function = Callable[..., Any]  # what is checked
Convert = Callable[[np.ndarray], Any]  # numpy array -> what the function takes


@dataclass
class Attempt:
    """One case, what the function made of it, and what is wanted. Mutants work on this.

    upstream: dloss/doutput, random; None where the op has no gradient.
    wanted, bounds, got: by the names of the results: "output", "input gradient", ...; got is empty until the call.
    """

    case: Case
    upstream: np.ndarray | None
    wanted: Arrays
    bounds: Arrays
    function: Function
    convert: Convert
    name: str
    seed: int
    got: Arrays = field(default_factory=dict)

    def call(
        self,
        arguments: Arrays | None = None,
        options: dict[str, Any] | None = None,
        upstream: np.ndarray | None = None,
    ) -> Arrays:
        """Runs the function forward and backward; arguments, options and upstream replace the case's own."""
        arguments = {**self.case.arguments, **(arguments or {})}
        options = {**self.case.options, **(options or {})}
        upstream = self.upstream if upstream is None else upstream
        tensors = {key: self.convert(values.copy()) for key, values in arguments.items()}
        converted = {
            key: self.convert(value.copy()) if isinstance(value, np.ndarray) else value
            for key, value in options.items()
        }
        leaves = {}
        if upstream is not None:
            leaves = {key: tensors[key] for key in self.case.differentiated if hasattr(tensors[key], "requires_grad_")}
        for leaf in leaves.values():
            leaf.requires_grad_()

        output = self.case.call(self.function, list(tensors.values()), converted)
        results = {"output": self._values_of(output)}
        if upstream is not None and leaves:
            output.backward(self.convert(upstream.copy()))
        for key, leaf in leaves.items():
            if leaf.grad is None:
                raise CheckFailed(f"{self.label}: {key} got no gradient (seed={self.seed})")
            results[f"{key} gradient"] = to_numpy(leaf.grad).copy()
        return results

    def _values_of(self, output: Any) -> np.ndarray:
        """The output, which has the right shape and dtype: backward could not even start from another."""
        if isinstance(output, tuple):
            raise CheckFailed(
                f"{self.label}: the function returned a tuple of {len(output)}, wanted one array (seed={self.seed})"
            )
        values = to_numpy(output).copy()
        wanted = self.wanted["output"]
        dtype = self.case.result_dtype if wanted.dtype.kind == "f" else wanted.dtype
        require_same_shape_and_dtype(f"{self.label}: output", values, wanted.shape, dtype, self.seed)
        return values

    def compare(self, results: Arrays) -> None:
        """Raises CheckFailed unless output and gradients in `results` are within their bounds, every element."""
        for key, values in results.items():
            name, wanted = f"{self.label}: {key}", self.wanted[key]
            if wanted.dtype.kind == "f":
                dtype = self.case.result_dtype
                close(values, wanted, bound=self.bounds[key], dtype=dtype, name=name, seed=self.seed)
            else:
                equal(values, wanted, name=name, seed=self.seed)

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


def op(name: str, function: Function, *, convert: Convert | None = None, seed: int | None = None) -> None:
    """Checks `function` as the op `name` and prints one line; raises CheckFailed when it is wrong.

    The package's docstring says what is compared, and how large an error may be.
    name: one of check.names(); its docstring in cases/ says how the function is called (as torch's of that name).
    convert: numpy array -> what the function takes; left out, mt.tensor.
    seed: repeats the draws of a check that failed; left out, they are fresh.
    """
    print(examine(name, function, convert=convert, seed=seed))


def examine(name: str, function: Function, *, convert: Convert | None = None, seed: int | None = None) -> Report:
    """As op, but returns the Report instead of printing it."""
    if name not in FAMILIES:
        raise ValueError(f"check: there is no check named {name!r}; there are {', '.join(names())}")
    family = FAMILIES[name]
    seed = secrets.randbelow(2**32) if seed is None else seed
    attempts = list(draw_attempts(name, family, function, convert or tensor_maker(), seed))
    with watched_memory():
        for attempt in attempts:
            try:
                attempt.got = attempt.call()
            except CheckFailed:
                raise
            except Exception as error:
                error.add_note(f"while checking {attempt.label} (seed={seed})")
                raise
            attempt.compare(attempt.got)
        check_red_zones()
        rejected = reject_mutants(family, attempts)
    compared = list(dict.fromkeys(key for attempt in attempts for key in attempt.got))
    return Report(name, compared, len(attempts), family.formula, rejected)


def tensor_maker() -> Convert:
    import mytensor

    return mytensor.tensor


def draw_attempts(
    name: str,
    family: Family,
    function: Function,
    convert: Convert,
    seed: int,
    dtypes: tuple[npt.DTypeLike, ...] = (np.float32, np.float64),
) -> Iterator[Attempt]:
    """Draws the family's cases in each of `dtypes`, and computes what is wanted."""
    for wanted_dtype in dtypes:
        dtype: np.dtype = np.dtype(wanted_dtype)
        draw = Draw(np.random.default_rng([seed, dtype.itemsize]), dtype)
        for case in family.draw(draw):
            upstream = draw.normal(*case.reference_output().shape) if case.differentiated else None
            wanted, magnitudes = case.wanted(upstream)
            bounds = {
                key: rounding_bound(dtype, case.length_of(key), magnitude) for key, magnitude in magnitudes.items()
            }
            yield Attempt(case, upstream, wanted, bounds, function, convert, name, seed)


def reject_mutants(family: Family, attempts: list[Attempt]) -> list[str]:
    """Replays the comparison with planted bugs; raises if one passes. Returns the names of those that were planted."""
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
def watched_memory() -> Iterator[None]:
    """New arrays are full of NaN and stand between red zones: an element never written, or written outside, is seen."""
    import mytensor_backend

    mode = mytensor_backend.memory_mode()
    mytensor_backend.set_memory_mode("debug")
    try:
        yield
    finally:
        mytensor_backend.set_memory_mode(mode)


def check_red_zones() -> None:
    import mytensor_backend

    try:
        mytensor_backend.check_red_zones()
    except RuntimeError as error:
        raise CheckFailed(str(error)) from None
