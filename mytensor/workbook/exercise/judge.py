"""Judging an answer: not done, right or wrong, in one line of words."""

from __future__ import annotations

import functools
import linecache
import secrets
import traceback
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mytensor.autograd import Function
from mytensor.workbook.check.cases import Family
from mytensor.workbook.check.comparison import CheckFailed, Difference
from mytensor.workbook.check.operation import Attempt, check_red_zones, draw_attempts, tensor_maker, watched_memory
from mytensor.workbook.exercise import book  # noqa: F401 - declares the exercises
from mytensor.workbook.exercise.declare import EXERCISES, Exercise, Question

if TYPE_CHECKING:
    from mytensor.workbook.inspect.figure import Picture

State = Literal["not done", "right", "wrong"]
MARKS = {"not done": "○", "right": "✓", "wrong": "✗"}


@dataclass(frozen=True)
class Answer:
    """The judge's answer. str() of it is the line that is printed."""

    number: str
    title: str
    state: State
    words: str
    picture: Picture | None = None

    def __str__(self) -> str:
        return f"{MARKS[self.state]} {self.number} {self.title}: {self.words}"


class _NotDone(Exception):
    """The reader's function returned nothing yet."""


class _ReadersError(Exception):
    """Wraps an exception of the reader's code."""

    def __init__(self, error: Exception):
        self.error = error


def answer(number: str, given: Any) -> Answer:
    """Judges `given`; raises nothing. See mytensor.exercise.ask, which prints it too."""
    declared = EXERCISES.get(number)
    if declared is None:
        others = ", ".join(sorted(EXERCISES))
        return Answer(str(number), "no such exercise", "wrong", f"there are {others}")
    if given is None or given is ...:
        return Answer(number, declared.title, "not done", "not done yet")
    try:
        if isinstance(declared, Question):
            state, words, picture = _judge_value(declared, given)
        else:
            state, words, picture = _judge_function(declared, given)
    except _NotDone:
        state, words, picture = "not done", "not done yet", None
    return Answer(number, declared.title, state, words, picture)


Verdict = tuple[State, str, "Picture | None"]


# ---------------------------------------------------------------------------------------------------------------------
# Questions
# ---------------------------------------------------------------------------------------------------------------------


def _judge_value(question: Question, given: Any) -> Verdict:
    if _same_value(given, question.wanted(), question.tolerance):
        return "right", "right", None
    for value, remark in question.mistakes:
        if _same_value(given, value, question.tolerance):
            return "wrong", f"not {_short(given)}: {remark}", None
    return "wrong", f"{_short(given)} is not it", None


def _same_value(given: Any, wanted: Any, tolerance: float) -> bool:
    """Whether an answer is the wanted value: text without regard to case, whole numbers exactly, floats about."""
    if isinstance(wanted, str):
        return isinstance(given, str) and given.strip().lower() == wanted.lower()
    try:
        array, want = np.asarray(given), np.asarray(wanted)
    except Exception:  # an object that only looks like an array
        return False
    if array.dtype.kind not in "biuf" or array.shape != want.shape:
        return False
    if (array.dtype.kind == "b") != (want.dtype.kind == "b"):
        return False  # True is not the number 1
    allowed = tolerance * np.abs(want) if want.dtype.kind == "f" else 0
    return bool(np.all(np.abs(array.astype(np.float64) - want) <= allowed))


# ---------------------------------------------------------------------------------------------------------------------
# Functions
# ---------------------------------------------------------------------------------------------------------------------


def seed_of(number: str) -> int:
    """The seed of the examples that an exercise begins with."""
    return zlib.crc32(number.encode())


def _judge_function(exercise: Exercise, given: Any) -> Verdict:
    if not callable(given):
        return "wrong", f"wanted is a function, this is {_short(given)}", None
    function = judged(exercise, given)
    compared: dict[str, None] = {}
    cases = 0
    for seed in (seed_of(exercise.number), secrets.randbelow(2**32)):
        for attempt in attempts_of(exercise, function, seed):
            wrong = _judge_attempt(attempt)
            if wrong is not None:
                return wrong
            compared |= dict.fromkeys(attempt.got)
            cases += 1
    agree = f"{', '.join(compared)} {'agrees' if len(compared) == 1 else 'agree'}"
    return "right", f"right; {agree} with float64 on {cases} cases, {exercise.family.formula}", None


def judged(exercise: Exercise, given: Any) -> Callable[..., Any]:
    """What is run in the place of the reader's function."""
    function = _spied_on(given)
    return exercise.adapt(function) if exercise.adapt else function


def attempts_of(exercise: Exercise, function: Callable[..., Any], seed: int) -> list[Attempt]:
    """The cases that an answer is judged on."""
    convert = exercise.convert or tensor_maker()
    family: Family = exercise.family
    return list(draw_attempts(exercise.title, family, function, convert, seed, exercise.dtypes))


def _judge_attempt(attempt: Attempt) -> Verdict | None:
    """Runs one case; None if all is right."""
    example = _example(attempt)
    try:
        with watched_memory():
            attempt.got = attempt.call()
            check_red_zones()
        if not attempt.got.keys() >= attempt.wanted.keys():
            missing = ", ".join(attempt.wanted.keys() - attempt.got.keys())
            return "wrong", f"it gives no {missing} {example}", None
        attempt.compare(attempt.got)
    except CheckFailed as failed:
        if failed.difference is None:
            return "wrong", f"{_plain(failed, attempt)} {example}", None
        return _differs(failed.difference, attempt, example)
    except _ReadersError as raised:
        return "wrong", f"your code raised {_in_words(raised.error)} {example}", None
    except _NotDone:
        raise
    except Exception as error:  # what came back was no array, or backward could not use it
        return "wrong", f"the result cannot be used: {type(error).__name__}: {_one_line(error)} {example}", None
    return None


def _differs(difference: Difference, attempt: Attempt, example: str) -> Verdict:
    from mytensor.workbook.exercise.picture import picture_of

    result = _result_name(difference.name, attempt)
    place = f"{result}{list(difference.first)}" if difference.first else result
    got, want = difference.got[difference.first], difference.want[difference.first]
    count = int(difference.wrong.sum())
    words = f"{place} is {got:.6g}, wanted {want:.6g}; {count} of {difference.wrong.size} elements are wrong {example}"
    try:
        picture = picture_of(result, difference)
    except ImportError:  # without matplotlib there are words alone
        picture = None
    return "wrong", words, picture


def _result_name(name: str, attempt: Attempt) -> str:
    """ "output" from the full name that a check gives its results."""
    return name.removeprefix(f"{attempt.label}: ")


def _plain(failed: CheckFailed, attempt: Attempt) -> str:
    """A check's message without the case and the seed, which the answer tells in its own way."""
    return str(failed).removeprefix(f"{attempt.label}: ").removesuffix(f" (seed={attempt.seed})")


def _example(attempt: Attempt) -> str:
    arrays = [f"{name} {values.shape}" for name, values in attempt.case.arguments.items()]
    options = [f"{name}={_short(value)}" for name, value in attempt.case.options.items()]
    return f"(with {', '.join([*arrays, *options])})"


# ---------------------------------------------------------------------------------------------------------------------
# The reader's code
# ---------------------------------------------------------------------------------------------------------------------


def _spied_on(given: Any) -> Callable[..., Any]:
    """The reader's function, or a Function's apply, so that what it returns and raises can be told from our own."""
    if isinstance(given, type) and issubclass(given, Function):
        members = {name: staticmethod(_spy(getattr(given, name))) for name in ("forward", "backward")}
        spied: Any = type(given.__name__, (given,), members)
        return spied.apply
    return _spy(given)


def _spy(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function, updated=())
    def called(*arguments, **options):
        try:
            result = function(*arguments, **options)
        except Exception as error:
            raise _ReadersError(error) from error
        if result is None or result is ...:
            raise _NotDone
        return result

    return called


def _in_words(error: Exception) -> str:
    """The error and the line of the reader's code that it came from."""
    told = f"{type(error).__name__}: {_one_line(error)}" if str(error) else type(error).__name__
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if "ipykernel" in frame.filename or frame.filename.startswith("<"):  # a cell
            line = linecache.getline(frame.filename, frame.lineno or 0).strip()
            return f"{told}, in line {frame.lineno} of its cell" + (f": {line}" if line else "")
    return told


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else text[:199] + "…"


def _short(value: Any) -> str:
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = f"an object of {type(value).__name__}"
    return text if len(text) <= 60 else text[:59] + "…"
