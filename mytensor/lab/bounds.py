"""How far rounding may take a result: what a kernel must keep to before it is timed, and tests of products."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def sum_of_products_bound(length: int, dtype: npt.DTypeLike, unit: float = 0.0) -> float:
    """How far a sum of `length` products, and one number more, may be from the exact one in any order of the additions,
    relative to the sum of their magnitudes.

    (length + 2) eps (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., 3.1; eps is twice the unit
    roundoff, which covers the second-order terms), and 2 u + u^2 where both factors were rounded to within `unit`.
    """
    return 2 * unit + unit * unit + (length + 2) * float(np.finfo(dtype).eps)
