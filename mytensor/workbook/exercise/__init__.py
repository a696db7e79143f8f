"""The workbook's exercises: what is asked, and a judge that answers in one line, whatever it is handed.

    from mytensor import exercise

    exercise("02.1", strided_im2col)        # ○ not done yet   ✓ right   ✗ wrong, where first, and a picture

`check` raises, `exercise` answers: a stub that returns ... or None is "not done yet", an exception in the reader's code
is told in words. The line is the same each time: an answer is first judged on examples drawn from a seed of the
exercise's own, so that one can work on a wrong element without it running away; then once more on fresh ones. How far a
result may be off, and what it is compared with, is the business of mytensor.check.

The exercises of notebook NN are declared in book/notebook_NN.py, each with mistakes that must be called wrong. What was
answered rightly is remembered in a file beside the notebooks (progress.py); `exercise.progress()` shows it.
"""

import contextlib
import sys
import types
from typing import Any

from mytensor._lazy import lazy_modules
from mytensor.workbook.exercise.declare import EXERCISES, Exercise, Question
from mytensor.workbook.exercise.judge import Answer, answer
from mytensor.workbook.exercise.progress import Progress, progress

__all__ = ["EXERCISES", "Answer", "Exercise", "Progress", "Question", "answer", "ask", "progress"]


def ask(number: str, given: Any) -> None:
    """Judges `given` as the answer to exercise `number`, prints the line, shows the picture, remembers the outcome.

    given: a function (or a mt.Function with its backward), or for a question the value; ... or None: not done yet.
    """
    verdict = answer(number, given)
    print(verdict)
    if verdict.picture is not None:
        with contextlib.suppress(ImportError):  # outside a notebook there may be nothing to show it in
            from mytensor.optional import display

            display(verdict.picture)
    if problem := Progress.here().remember(number, verdict.state):
        print(f"  (this could not be remembered: {problem})")


class _CallableModule(types.ModuleType):
    """Lets the module itself be called, so that a notebook's line reads exercise("02.1", strided_im2col)."""

    def __call__(self, number: str, given: Any) -> None:
        ask(number, given)


sys.modules[__name__].__class__ = _CallableModule

__getattr__, __dir__ = lazy_modules(__name__)
