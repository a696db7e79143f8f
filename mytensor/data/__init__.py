"""Pictures to learn from: CIFAR-10, a synthetic stand-in for machines without it, and the batches a training loop asks
for."""

from mytensor.data.batches import CIFAR10_MEAN, CIFAR10_STD, Batches
from mytensor.data.cifar10_files import CLASSES, cifar10, cifar10_or_stand_in, find
from mytensor.data.dataset import ImageDataset
from mytensor.data.stand_in import STAND_IN, synthetic

__all__ = [
    "CIFAR10_MEAN",
    "CIFAR10_STD",
    "CLASSES",
    "STAND_IN",
    "Batches",
    "ImageDataset",
    "cifar10",
    "cifar10_or_stand_in",
    "find",
    "synthetic",
]
