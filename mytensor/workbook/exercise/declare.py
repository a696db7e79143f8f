"""How an exercise is declared: what it asks, the cases it is judged on, and mistakes that must be called wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mytensor.workbook.check.cases.family import EXACT, SUM, DrawCases, Family
from mytensor.workbook.check.mutants import Mutant
from mytensor.workbook.check.operation import Convert

__all__ = ["EXACT", "EXERCISES", "SUM", "Exercise", "Question", "as_numpy", "exercise", "question"]

Adapt = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True)
class Exercise:
    """A function for the reader to write.

    number: "02.1", the first exercise of notebook 02. title: what is to be written, in a few words.
    family: draws the cases, as for mytensor.check; the first should be small, for a wrong answer is explained on it.
    convert: numpy array -> what the function takes; None: mt.tensor.
    dtypes: of the drawn arrays.
    mistakes: name -> (text of the solution, what to put in its place), which makes it wrong.
    adapt: what the reader writes -> the function that is judged, where these differ (one thread -> a whole launch).
    """

    number: str
    title: str
    family: Family
    convert: Convert | None
    dtypes: tuple[npt.DTypeLike, ...]
    mistakes: Mapping[str, tuple[str, str]]
    adapt: Adapt | None = None


@dataclass(frozen=True)
class Question:
    """A value for the reader to find: a number, a text, or a tuple of them.

    wanted: computes it. mistakes: (a wrong value that readers come to, what to tell them).
    tolerance: how far a float may be off, relatively.
    """

    number: str
    title: str
    wanted: Callable[[], Any]
    mistakes: Sequence[tuple[Any, str]] = field(default_factory=tuple)
    tolerance: float = 1e-6


EXERCISES: dict[str, Exercise | Question] = {}


def exercise(
    number: str,
    title: str,
    *mutants: Mutant,
    mistakes: Mapping[str, tuple[str, str]],
    formula: str = SUM,
    convert: Convert | None = None,
    dtypes: tuple[npt.DTypeLike, ...] = (np.float64,),
    adapt: Adapt | None = None,
) -> Callable[[DrawCases], DrawCases]:
    """Declares the exercise whose cases the decorated function draws; see Exercise.

    mutants: bugs of mytensor.check.mutants that the tests plant in the solution's results, besides the common ones.
    formula: the bound, as the answer states it.
    """

    def register(draw: DrawCases) -> DrawCases:
        _enter(Exercise(number, title, Family(draw, formula, mutants), convert, dtypes, mistakes, adapt))
        return draw

    return register


def question(
    number: str, title: str, mistakes: Sequence[tuple[Any, str]], tolerance: float = 1e-6
) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Declares the question whose answer the decorated function computes; see Question."""

    def register(wanted: Callable[[], Any]) -> Callable[[], Any]:
        _enter(Question(number, title, wanted, mistakes, tolerance))
        return wanted

    return register


def _enter(declared: Exercise | Question) -> None:
    if declared.number in EXERCISES:
        raise ValueError(f"two exercises are declared as {declared.number}: {declared.title!r} is the second")
    EXERCISES[declared.number] = declared


def as_numpy(values: np.ndarray) -> np.ndarray:
    """For `convert`: the function takes numpy arrays."""
    return values
