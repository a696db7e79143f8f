"""Checks for notebooks and tests: compare a result with a reference, element by element, and raise when it is wrong.

    from mytensor import check

    check("conv2d", F.conv2d)                       # an op: output and all gradients, against torch in float64
    check.call(three_loops, a, b, want=a @ b, reduction_length=21, magnitude=abs(a) @ abs(b))
    check.gradcheck(Cube.apply, x)                  # a backward rule, against finite differences
    check.close(got, want, reduction_length=27, magnitude=...)
    check.equal(got, want)                          # the same bits

`check(name, function)` draws fresh random arguments (every length different, kernels not square, ties, an empty batch,
one-pixel images, padding larger than the image), runs `function` and its backward with a random upstream gradient in
float32 and in float64, and compares every element of the output and of every gradient with torch's float64 result. It
prints one line, the same on every machine; a wrong result raises CheckFailed, which names the element, the bound and
the seed: check(name, function, seed=...) repeats it.

How large may an error be? The bound is derived, not tuned. A sum of K products rounds at most K + 1 times, each time by
at most eps/2 of what is added up, so
    |got - want| <= c * K * eps * (|a| op |b|),    c = 2,
where (|a| op |b|) is the same op on absolute values: what the sum would be if nothing cancelled (Higham, Accuracy and
Stability of Numerical Algorithms, 2nd ed., section 3.1). c = 2 leaves room for a reference that was itself rounded.
K = 0 means exact: a maximum, a copy, a reshape computes nothing.

Can the check fail at all? A check that passes on wrong code is worse than none. So after each success it plants known
bugs in the results (channels exchanged, kernel not flipped, an element never written, a NaN, a gradient scaled by the
batch ...; see mutants.py) and raises if one of them would pass. tests/mutants/ does the same with bugs in the C++
source.

`function` gets mt.Tensors. Other kinds of arrays: convert=torch.tensor, or convert=numpy.asarray (then, without a
backward, only the output is compared). torch is imported when a check of an op is first run, not before.
"""

import sys
import types
from collections.abc import Callable
from typing import Any

from mytensor.workbook.check.comparison import CheckFailed, close, equal
from mytensor.workbook.check.operation import Report, examine, names, op
from mytensor.workbook.check.replay import call, changed, gradcheck

__all__ = ["CheckFailed", "Report", "call", "changed", "close", "equal", "examine", "gradcheck", "names", "op"]


class _CallableModule(types.ModuleType):
    """Lets the module itself be called, so that a notebook's line reads check("conv2d", F.conv2d)."""

    def __call__(self, name: str, function: Callable[..., Any], **options: Any) -> None:
        op(name, function, **options)


sys.modules[__name__].__class__ = _CallableModule
