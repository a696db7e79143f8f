"""Which mutants share a build."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar


class Mutant(Protocol):
    """A planted bug: `replacement` stands for `original` in `file`."""

    file: str
    original: str
    replacement: str


M = TypeVar("M", bound=Mutant)


def change_the_same_place(a: Mutant, b: Mutant) -> bool:
    """Whether one of the two could not be planted beside the other."""
    return a.file == b.file and (a.original in b.original + b.replacement or b.original in a.original + a.replacement)


def grouped(mutants: Iterable[M], exclude_each_other: Callable[[M, M], bool]) -> list[list[M]]:
    """The mutants, in as few builds as a simple rule finds: each goes to the first in which nothing excludes it."""
    groups: list[list[M]] = []
    for mutant in mutants:
        for group in groups:
            if not any(exclude_each_other(mutant, other) for other in group):
                group.append(mutant)
                break
        else:
            groups.append([mutant])
    return groups
