"""The cases that each op is checked on: drawn arguments, a float64 reference, and how large an error may be.

Sizes differ from each other, some are odd, none is a multiple of a tile, so that a kernel that mixes two dimensions up,
or forgets the rest behind its last whole tile, computes something else. One module a family of ops, mostly named as
those of mytensor/ops/; in them every function that is marked @family("name") says how the checked function is called.
"""

from mytensor.workbook.check.cases import (
    conv,
    elementwise,
    init,
    loss,
    matmul,
    pooling,
    random,
    reductions,
    shape,
    softmax,
    steps,
)
from mytensor.workbook.check.cases.case import Arrays, Case, Draw
from mytensor.workbook.check.cases.family import FAMILIES, Family

__all__ = [
    "FAMILIES",
    "Arrays",
    "Case",
    "Draw",
    "Family",
    "conv",
    "elementwise",
    "init",
    "loss",
    "matmul",
    "pooling",
    "random",
    "reductions",
    "shape",
    "softmax",
    "steps",
]
