"""Batches for a training loop: shuffled, gathered and normalised by one kernel call each.

The whole data set lies on the device as uint8, a quarter of what float32 would take. A batch is gathered from it by the
backend's ``gather_batch``, which also normalises and, where wanted, flips and crops; no image passes through Python.
"""

from __future__ import annotations

from collections.abc import Iterator

import mytensor_backend as backend
import numpy as np

from mytensor._tensor import Tensor
from mytensor.data.dataset import ImageDataset

# (x/255 - 0.5) / 0.5 brings pixels to [-1, 1], as PyTorch's CIFAR-10 tutorial does. The report doesn't state its
# constants; these are our assumption.
CIFAR10_MEAN = (0.5, 0.5, 0.5)
CIFAR10_STD = (0.5, 0.5, 0.5)

# Black pixels around an image before it is cropped back to its size (He et al., "Deep Residual Learning", 2016, 4.2).
CROP_PADDING = 4


class Batches:
    """All batches of all epochs of a data set.

    The order of epoch ``e`` depends on ``seed`` and ``e`` alone, and so do flips and crops. There is no other state: to
    go on after batch ``k`` of epoch ``e``, ask for ``epoch(e, start=k)``.

    shuffle: a new order each epoch; else the data set's own. augment: flip half of the images left-right and move each
    by up to 4 pixels. mean, std: per channel, of pixels scaled to [0, 1]. device: where the data set is kept and the
    batches are made.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        batch_size: int = 64,
        seed: int = 0,
        shuffle: bool = True,
        augment: bool = False,
        mean: tuple[float, ...] = CIFAR10_MEAN,
        std: tuple[float, ...] = CIFAR10_STD,
        device: str = "cpu",
    ):
        if batch_size <= 0:
            raise ValueError(f"batch_size={batch_size}: at least one image a batch is wanted")
        if seed < 0:
            raise ValueError(f"seed={seed}: a seed is a whole number from 0 upwards")
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed
        self.shuffle, self.augment, self.device = shuffle, augment, device
        self._images = self._on_device(dataset.images)
        self._labels = self._on_device(dataset.labels)
        self._mean = self._on_device(np.array(mean, np.float32))
        self._std = self._on_device(np.array(std, np.float32))

    def __len__(self) -> int:
        """Batches in an epoch; the last one is smaller where the batch size doesn't divide the data set."""
        return -(-len(self.dataset) // self.batch_size)

    def order(self, epoch: int) -> np.ndarray:
        """The order of the images in an epoch, int64 (N,)."""
        if not self.shuffle:
            return np.arange(len(self.dataset))
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.dataset))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of an epoch from batch ``start`` on: (images float32 (B, C, H, W), labels int64 (B,))."""
        order = self._on_device(self.order(epoch))
        flips, crops = self._augmentation(epoch) if self.augment else (None, None)
        for first in range(start * self.batch_size, len(self.dataset), self.batch_size):
            count = min(self.batch_size, len(self.dataset) - first)
            index = backend.narrow(order, 0, first, count)
            images = backend.gather_batch(
                self._images,
                index,
                self._mean,
                self._std,
                flip=None if flips is None else backend.narrow(flips, 0, first, count),
                crop=None if crops is None else backend.narrow(crops, 0, first, count),
                padding=0 if crops is None else CROP_PADDING,
            )
            yield Tensor(images), Tensor(backend.index_select(self._labels, index))

    def _augmentation(self, epoch: int):
        """(flip uint8 (N,), crop int64 (N, 2): row and column of the window's corner in the padded image) for an
        epoch."""
        random = np.random.default_rng([self.seed, epoch, 1])
        flips = random.integers(0, 2, len(self.dataset), dtype=np.uint8)
        crops = random.integers(0, 2 * CROP_PADDING + 1, (len(self.dataset), 2), dtype=np.int64)
        return self._on_device(flips), self._on_device(crops)

    def _on_device(self, array: np.ndarray):
        return backend.from_numpy(array).to(self.device)
