"""Optimisers and learning-rate schedules, with torch's arguments and torch's numbers: `SGD`, and `lr_scheduler`."""

from mytensor.optim import lr_scheduler
from mytensor.optim.sgd import SGD

__all__ = ["SGD", "lr_scheduler"]
