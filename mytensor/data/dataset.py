"""What every data set here is: images, labels, and where they came from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Labelled colour images, all in memory.

    images: uint8 (N, 3, 32, 32), C-contiguous: image, channel (red, green, blue), row, column.
    labels: int64 (N,), each an index into ``classes``.
    source: where the pixels came from, such as "CIFAR-10" or "synthetic stand-in"; tables and plots quote it.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    source: str

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"ImageDataset({len(self):,} images from {self.source}, {len(self.classes)} classes)"

    @cached_property
    def checksum(self) -> str:
        """MD5 of the pixels followed by the labels: two data sets with one checksum hold the same pictures in the same
        order."""
        digest = hashlib.md5(self.images.data, usedforsecurity=False)
        digest.update(self.labels.data)
        return digest.hexdigest()

    def subset(self, count: int) -> ImageDataset:
        """The first ``count`` images (a view, nothing is copied)."""
        if not 0 < count <= len(self):
            raise ValueError(
                f"subset(count={count}): this data set has {len(self):,} images; ask for 1 to {len(self):,}"
            )
        return replace(self, images=self.images[:count], labels=self.labels[:count])
