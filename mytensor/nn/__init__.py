"""Neural networks: modules, layers, their functions and their initialisation. Names and meanings are torch.nn's."""

from mytensor._tensor import Parameter
from mytensor.nn import functional, init
from mytensor.nn.layers import (
    AvgPool2d,
    Conv2D,
    Conv2d,
    CrossEntropyLoss,
    Flatten,
    Linear,
    MaxPool2d,
    NLLLoss,
    ReLU,
    Sequential,
)
from mytensor.nn.module import Module

__all__ = [
    "AvgPool2d",
    "Conv2D",
    "Conv2d",
    "CrossEntropyLoss",
    "Flatten",
    "Linear",
    "MaxPool2d",
    "Module",
    "NLLLoss",
    "Parameter",
    "ReLU",
    "Sequential",
    "functional",
    "init",
]
