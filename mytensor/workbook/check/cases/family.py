"""The table of checks: what is known about checking each op, entered by the decorator @family."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mytensor.workbook.check.cases.case import Case, Draw
from mytensor.workbook.check.mutants import Mutant

DrawCases = Callable[[Draw], Iterator[Case]]


@dataclass
class Family:
    """All there is to know about checking one op."""

    draw: DrawCases
    formula: str  # the bound, as the printed line states it
    mutants: tuple[Mutant, ...] = ()


FAMILIES: dict[str, Family] = {}

SUM = "|error| <= 2·K·eps·(|a| op |b|)"
EXACT = "exactly"


def family(name: str, formula: str = SUM, *special_mutants: Mutant) -> Callable[[DrawCases], DrawCases]:
    """Registers a function that draws cases as the check of the op `name`."""

    def register(draw: DrawCases) -> DrawCases:
        FAMILIES[name] = Family(draw, formula, special_mutants)
        return draw

    return register
