"""The PyTorch twin of ``mytensor.models.LeNet``, and the data as torch is given it."""

from __future__ import annotations

import numpy as np

import mytensor as mt
from mytensor.data import ImageDataset
from mytensor.data.download import import_torchvision
from mytensor.optional import torch
from mytensor.training import Recipe

nn = torch.nn


class TorchLeNet(nn.Module):
    """The same layers under the same names as ``mytensor.models.LeNet``: images (N, 3, 32, 32) -> logits (N, 10)."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.conv2 = nn.Conv2d(6, 16, 3, padding=1)
        self.fc1 = nn.Linear(16 * 8 * 8, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.max_pool2d(nn.functional.relu(self.conv1(x)), 2)
        x = nn.functional.max_pool2d(nn.functional.relu(self.conv2(x)), 2)
        x = x.flatten(1)
        x = nn.functional.relu(self.fc1(x))
        x = nn.functional.relu(self.fc2(x))
        return self.fc3(x)


def copy_weights(source: mt.nn.Module, target: nn.Module) -> None:
    """Give the torch module the weights of ours (names and shapes must agree; the dtype stays the target's)."""
    target.load_state_dict(
        {name: torch.from_numpy(value.array.cpu().numpy().copy()) for name, value in source.state_dict().items()}
    )


def torch_recipe(model: nn.Module, recipe: Recipe, fused: bool = False) -> torch.optim.SGD:
    """The recipe's optimizer in torch; fused: in one kernel for all parameters, which must be asked for."""
    return torch.optim.SGD(
        model.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        fused=fused or None,
    )


def normalised(dataset: ImageDataset, recipe: Recipe, piece: int = 1000) -> torch.Tensor:
    """All images of a data set as one float32 tensor (N, 3, 32, 32), normalised by the recipe's constants."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (recipe.mean, recipe.std))
    images = torch.from_numpy(dataset.images)
    out = torch.empty(images.shape)
    for start in range(0, len(images), piece):  # piece by piece, so that no second copy of the whole is needed
        out[start : start + piece] = (images[start : start + piece].float() / 255 - mean) / std
    return out


class PerImage(torch.utils.data.Dataset):
    """A data set as torchvision.datasets.CIFAR10 serves it with the transforms ToTensor and Normalize: each image goes
    through PIL, conversion and normalisation on its own when it is asked for."""

    def __init__(self, dataset: ImageDataset, recipe: Recipe):
        from mytensor.optional import Image

        transforms = import_torchvision().transforms
        self.to_pil = Image.fromarray
        self.images = np.ascontiguousarray(dataset.images.transpose(0, 2, 3, 1))  # channels last, as PIL wants them
        self.labels = dataset.labels
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(recipe.mean, recipe.std)])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.to_pil(self.images[index])), int(self.labels[index])


def mean_loss_and_accuracy(model: nn.Module, images: torch.Tensor, labels: np.ndarray) -> tuple[float, float]:
    """(mean loss, accuracy) of a torch model on normalised images (N, 3, 32, 32), where the model is, and labels
    (N,)."""
    loss = correct = 0.0
    model.eval()
    with torch.no_grad():
        for x, y in zip(images.split(500), torch.from_numpy(labels).to(images.device).split(500), strict=True):
            logits = model(x)
            loss += nn.functional.cross_entropy(logits, y, reduction="sum").item()
            correct += (logits.argmax(1) == y).sum().item()
    model.train()
    return loss / len(images), correct / len(images)
