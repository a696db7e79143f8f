"""The network of the report."""

from __future__ import annotations

from mytensor._tensor import Tensor
from mytensor.nn import Conv2d, Linear, Module
from mytensor.nn import functional as F


class LeNet(Module):
    """The report's LeNet for 32x32 RGB images: (N, 3, 32, 32) -> logits (N, num_classes).

    conv 3->6 (3x3, padding 1), ReLU, max-pool 2; conv 6->16 (3x3, padding 1), ReLU, max-pool 2; fully connected
    1024 -> 120 -> 84 -> num_classes with ReLU between. The names are those of the usual torch tutorial network, so
    state_dict fits a torch twin.
    """

    def __init__(self, num_classes: int = 10):
        self.conv1 = Conv2d(3, 6, kernel_size=3, padding=1)
        self.conv2 = Conv2d(6, 16, kernel_size=3, padding=1)
        self.fc1 = Linear(16 * 8 * 8, 120)
        self.fc2 = Linear(120, 84)
        self.fc3 = Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)  # (N, 6, 16, 16)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  # (N, 16, 8, 8)
        x = x.flatten(1)  # (N, 1024)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)
