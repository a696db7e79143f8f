"""Checks of a call: its result is compared with what is wanted, then the call is replayed with planted bugs.

A comparison of two finished arrays does not say what it would have let pass. So the callable itself is handed over:
once its result has been found right, it is called again, wrongly, and every wrong result must be rejected.
"""

from __future__ import annotations

import functools
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mytensor.workbook.check import comparison
from mytensor.workbook.check.cases.family import EXACT, SUM
from mytensor.workbook.check.comparison import CheckFailed, to_numpy
from mytensor.workbook.check.mutants import ARGUMENT_CHANGES, RESULT_CHANGES, Change, Results

Function = Callable[..., Any]
Mutants = Mapping[str, Function | tuple[str, str]]  # name -> a wrong function, or (text of the function, other text)
Bugs = Iterator[tuple[str, Callable[[], Any]]]  # name, and how to come to the wrong result


def call(
    function: Function,
    *arguments: Any,
    want: Any,
    bound: Any = None,
    reduction_length: Any = None,
    magnitude: Any = None,
    dtype: npt.DTypeLike | None = None,
    mutants: Mutants | None = None,
    name: str | None = None,
) -> None:
    """Checks that function(*arguments) is `want`, shows that the check can fail, and prints one line.

    function: returns an array, a number, or a dict of arrays by name; every element is compared.
    want: the same, computed by something else.
    bound, reduction_length, magnitude, dtype: as for check.close; the first three may be dicts by the names of the
        results. Without bound and reduction_length: the same bits, as for check.equal.
    mutants: bugs that this check claims to catch. Name -> a wrong function of the same arguments, or a pair of texts:
        `function` with the first replaced by the second in its source.
    name: for the line and the messages; left out, the function's.

    What is planted: damage to the results; damage to one argument at a time, if it is a numpy array, a Tensor on the
    CPU or a dict of these; the mutants. Damage that does not alter the results is left out; a mutant must be noticed.
    So what may be altered without harm (the order of terms, say) should not be passed as an argument.
    Raises CheckFailed: the result is wrong; a planted bug passes; or the function cannot be replayed with any bug, so
    that nothing shows that the check can fail. ValueError: a mutant's text is not in the function.
    """
    name = name or _name_of(function)
    exact = bound is None and reduction_length is None
    wanted = _results_of(want)

    def compare(got: Results) -> None:
        if got.keys() != wanted.keys():
            raise CheckFailed(f"{name}: the results are {list(got)}, wanted {list(wanted)}")
        for key, values in got.items():
            label = f"{name}: {key}" if key else name
            if exact:
                comparison.equal(values, wanted[key], name=label)
            else:
                allowed = {"bound": bound, "reduction_length": reduction_length, "magnitude": magnitude}
                own = {what: value[key] if isinstance(value, dict) else value for what, value in allowed.items()}
                comparison.close(values, wanted[key], dtype=dtype, name=label, **own)

    right = _results_of(function(*arguments))
    compare(right)
    damaged = _rejected(name, compare, right, _damaged_results(right))
    replayed = _rejected(name, compare, right, _damaged_calls(function, arguments))
    named = _rejected(name, compare, None, _mutated_calls(function, arguments, mutants or {}))
    if not replayed and not named:
        raise CheckFailed(
            f"{name}: nothing shows that this check can fail: no argument is an array whose damage alters the result, "
            "and no mutants= are given"
        )
    formula = EXACT if exact else SUM if bound is None else "within the bound"
    among = f", among them: {', '.join(named)}" if named else ""
    bugs = len(damaged) + len(replayed) + len(named)
    print(f"✓ {name}: every element agrees, {formula}; {bugs} planted bugs rejected{among}")


def changed(function: Function, text: str, other: str) -> Function:
    """A function with the source of `function`, but `other` wherever `text` stands. Made when it is called.

    The call raises ValueError if the text is not there, or if `function` has no source of its own (a lambda) or uses
    variables of a function around it.
    """

    @functools.wraps(function)
    def mutant(*arguments: Any, **options: Any) -> Any:
        code = getattr(function, "__code__", None)
        if code is None or code.co_name == "<lambda>" or code.co_freevars:
            raise ValueError("check.changed: wanted a function of its own, not a lambda or one that stands in another")
        source = textwrap.dedent(inspect.getsource(function))
        if text not in source:
            raise ValueError(
                f"check.changed: {function.__name__} does not contain {text!r}, so this bug is not planted"
            )
        namespace = dict(function.__globals__)
        exec(source.replace(text, other), namespace)
        return namespace[function.__name__](*arguments, **options)

    return mutant


def gradcheck(function: Function, *inputs: Any, name: str | None = None) -> None:
    """mt.gradcheck, which then must reject wrong gradients of each input; prints one line.

    function, inputs: as for mt.gradcheck, whose AssertionError passes through.
    Raises CheckFailed where a gradient doubled, or without its last element, is found right.
    """
    import mytensor

    name = name or _name_of(function)
    mytensor.gradcheck(function, inputs)
    checked = [place for place, value in enumerate(inputs) if getattr(value, "requires_grad", False)]
    for place in checked:
        for bug, change in {"doubled": lambda u: 2 * u, "without its last element": _without_last}.items():
            try:
                mytensor.gradcheck(_with_wrong_gradient(function, place, change), inputs)
            except AssertionError:
                continue
            raise CheckFailed(f"{name}: this check is blind: it passes with the gradient of input {place} {bug}")
    print(
        f"✓ {name}: every derivative agrees with finite differences, for {len(checked)} inputs; "
        f"{2 * len(checked)} planted bugs rejected"
    )


# ---------------------------------------------------------------------------------------------------------------------


def _name_of(function: Function) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _results_of(value: Any) -> Results:
    """Copies of what was returned, by name; a single array has the name ""."""
    named = value if isinstance(value, Mapping) else {"": value}
    return {key: to_numpy(array).copy() for key, array in named.items()}


def _same(results: Results, others: Results) -> bool:
    return results.keys() == others.keys() and all(
        values.shape == others[key].shape and values.tobytes() == others[key].tobytes()
        for key, values in results.items()
    )


def _rejected(name: str, compare: Callable[[Results], None], right: Results | None, bugs: Bugs) -> list[str]:
    """The names of the bugs that were planted and rejected. right: results equal to these are no bug; None: all are."""
    rejected = []
    for bug, wrong in bugs:
        with np.errstate(all="ignore"):  # that a wrong version overflows is no news to the reader
            results = _results_of(wrong())
        if right is not None and _same(results, right):
            continue
        try:
            compare(results)
        except CheckFailed:
            rejected.append(bug)
        else:
            raise CheckFailed(f"{name}: this check is blind: it passes with the planted bug '{bug}'")
    return rejected


def _damaged_results(right: Results) -> Bugs:
    """Each kind of damage, in the first of the results that it alters."""
    for bug, change in {**RESULT_CHANGES, "doubled": lambda values: values + values}.items():
        for key, values in right.items():
            wrong = {**right, key: change(values.copy())} if values.size else right
            if not _same(wrong, right):
                yield bug, lambda wrong=wrong: wrong  # type: ignore[misc]
                break


def _damaged_calls(function: Function, arguments: tuple[Any, ...]) -> Bugs:
    """Each kind of damage, in each of the arguments that it alters."""
    for place, argument in enumerate(arguments):
        for bug, change in ARGUMENT_CHANGES.items():
            damaged = _damaged(argument, change)
            if damaged is not None:
                wrong = (*arguments[:place], damaged, *arguments[place + 1 :])
                yield f"argument {place} {bug}", lambda wrong=wrong: function(*wrong)  # type: ignore[misc]


def _damaged(argument: Any, change: Change) -> Any:
    """The argument with `change` in it, for a dict in its last array; None if it is nothing that can be damaged."""
    if isinstance(argument, dict) and argument:
        last = next(reversed(argument))
        damaged = _damaged(argument[last], change)
        return None if damaged is None else {**argument, last: damaged}
    if isinstance(argument, np.ndarray) and argument.size:
        return np.ascontiguousarray(change(argument.copy()))
    if type(argument).__module__.startswith("mytensor.") and getattr(argument, "device", None) == "cpu":
        import mytensor

        return mytensor.tensor(_damaged(to_numpy(argument), change), requires_grad=argument.requires_grad)
    return None


def _mutated_calls(function: Function, arguments: tuple[Any, ...], mutants: Mutants) -> Bugs:
    for bug, mutant in mutants.items():
        wrong = mutant if callable(mutant) else changed(function, *mutant)
        yield bug, lambda wrong=wrong: wrong(*arguments)  # type: ignore[misc]


def _without_last(upstream: np.ndarray) -> np.ndarray:
    upstream = upstream.copy()
    upstream.reshape(-1)[-1:] = 0
    return upstream


def _with_wrong_gradient(function: Function, place: int, change: Change) -> Function:
    """`function`, but backward hands `change` of its gradient to the input at `place`."""
    from mytensor.autograd import Function as Op

    class Wrong(Op):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.numpy().copy()

        @staticmethod
        def backward(ctx: Any, upstream: Any) -> Any:
            return change(upstream.numpy())

    return lambda *inputs: function(*inputs[:place], Wrong.apply(inputs[place]), *inputs[place + 1 :])
