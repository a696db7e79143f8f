"""Parts: what x[0], x[1:3], x.narrow(...), x.T, x.transpose(...) and x.permute(...) return.

They choose or reorder elements. Arrays are contiguous here, so a part is a copy, whatever its shape. In torch it is a
view: a change in place reaches the tensor that it was taken from. So a part remembers that tensor, and every in-place
function puts the part back when it has changed it.
"""

from __future__ import annotations

from collections.abc import Callable

import mytensor_backend as backend
from mytensor_backend import NDArray

from mytensor._tensor import Tensor
from mytensor.autograd import is_grad_enabled


class Part:
    """Where a tensor was taken from.

    base: the tensor that it was taken from, which may be a part itself.
    take: base's array -> the part's array.
    put: (base's array, the part's array) -> base's array with the part in its place.
    """

    __slots__ = ("array", "base", "put", "take", "version")

    def __init__(self, base: Tensor, take: Callable[[NDArray], NDArray], put: Callable[[NDArray, NDArray], NDArray]):
        self.base, self.take, self.put = base, take, put
        self.array, self.version = base.array, base.array.version

    def check(self, array: NDArray) -> None:
        """Before `array`, the part, is changed. RuntimeError where the change could not be put back rightly."""
        base = self.base
        if is_grad_enabled() and base._requires_grad:
            raise RuntimeError(PART_IS_RECORDED)
        if not self._is_current(array):
            raise RuntimeError(
                "this tensor is a part (an index, a narrow, transpose or permute) of another one, and one of the two "
                "has changed since it was taken: writing it back would undo that; take the part again, or change a "
                ".clone()"
            )
        if base._part is not None:
            base._part.check(base.array)

    def _is_current(self, array: NDArray) -> bool:
        if self.base.array is not self.array or self.array.version != self.version:
            return False
        # On the CPU numpy may have written to either side, which counts no version.
        on_cpu = array.device == "cpu"
        return not on_cpu or self.take(self.array).numpy().tobytes() == array.numpy().tobytes()

    def put_back(self, array: NDArray) -> None:
        """After `array`, the part, was changed: writes it to the base, and from there to what that was taken from."""
        base = self.base
        backend.copy_(self.array, self.put(self.array, array))
        self.version = self.array.version
        if base._part is not None:
            base._part.put_back(self.array)


class NotToChange:
    """Stands in for a Part where a change in place cannot be right: each is a RuntimeError with its reason."""

    __slots__ = ("reason",)

    def __init__(self, reason: str):
        self.reason = reason

    def check(self, array: NDArray) -> None:
        raise RuntimeError(self.reason)

    def put_back(self, array: NDArray) -> None:
        raise RuntimeError(self.reason)


PART_IS_RECORDED = (
    "this tensor is a part (an index, a narrow, transpose or permute) of one whose graph is recorded, and the graph "
    "would not see that one change; use x = x + 1, not x += 1, or change a .clone(); parameters are changed inside "
    "`with mt.no_grad():`, where the part must be taken as well"
)
RECORDED = NotToChange(PART_IS_RECORDED)
REPEATED = NotToChange(
    "this tensor repeats the elements of another one (expand, broadcast_to), so a change in place would have to write "
    "several numbers to one place; change a .clone()"
)
CONTIGUOUS = NotToChange(
    "this tensor is .contiguous() of a part (an index, a narrow, transpose or permute): whether a change in place "
    "reaches the tensor that the part was taken from depends on strides in torch; change the part itself, or a .clone()"
)


def part_of(base, output: Tensor, take: Callable, put: Callable) -> Tensor:
    """`output`, which was taken from `base`, remembering where from."""
    if isinstance(base, Tensor):  # not so where the backend's arrays are handed in
        output._part = RECORDED if output._requires_grad else Part(base, take, put)
    return output
