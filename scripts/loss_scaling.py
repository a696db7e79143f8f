"""Trains LeNet with the loss divided once too often, for notebook 07: what is displayed, and what is learnt.

    python scripts/loss_scaling.py [--data DIR] [--epochs N]      writes results/loss_scaling.json

Same weights, same batches, same recipe; only the factor before backward() differs. Times are not recorded: whatever
else runs on the machine changes nothing.
"""

from __future__ import annotations

import argparse
import pathlib
import platform
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

import mytensor as mt  # noqa: E402
import mytensor.nn.functional as F  # noqa: E402
from mytensor import data  # noqa: E402
from mytensor.compare.results import save_results  # noqa: E402
from mytensor.data import Batches  # noqa: E402

RESULTS = ROOT / "results" / "loss_scaling.json"
BATCH, LEARNING_RATE, MOMENTUM, SEED = 64, 0.01, 0.9, 0
DIVISORS = {"right": 1, "by the batch again": BATCH, "by the classes": 10}


def accuracy(model: mt.nn.Module, test_batches: Batches) -> float:
    right = count = 0
    with mt.no_grad():
        for images, labels in test_batches.epoch(0):
            right += int((model(images).numpy().argmax(axis=1) == labels.numpy()).sum())
            count += len(labels.numpy())
    return right / count


def train(divisor: int, train_set, test_set, epochs: int) -> dict[str, list[float]]:
    """The mean true loss and the test accuracy of every epoch."""
    mt.manual_seed(SEED)
    model = mt.models.LeNet()
    optimizer = mt.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    batches, test_batches = Batches(train_set, BATCH, SEED), Batches(test_set, 500, SEED, shuffle=False)
    history: dict[str, list[float]] = {"true_loss": [], "test_accuracy": []}
    for epoch in range(epochs):
        losses = []
        for images, labels in batches.epoch(epoch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            (loss / divisor).backward()
            optimizer.step()
            losses.append(loss.item())
        history["true_loss"].append(round(float(np.mean(losses)), 5))
        history["test_accuracy"].append(round(accuracy(model, test_batches), 4))
        print(
            f"divided by {divisor:2}: epoch {epoch + 1}: {history['true_loss'][-1]}, {history['test_accuracy'][-1]}",
            flush=True,
        )
    return history


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of CIFAR-10; left out: data/")
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()
    train_set, test_set = (data.cifar10(arguments.data, train=train) for train in (True, False))
    runs = {name: train(divisor, train_set, test_set, arguments.epochs) for name, divisor in DIVISORS.items()}
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    save_results(
        {
            "what": "LeNet, the loss divided once too often before backward()",
            "data": train_set.source,
            "recipe": {"epochs": arguments.epochs, "batch_size": BATCH, "lr": LEARNING_RATE, "momentum": MOMENTUM},
            "seed": SEED,
            "device": "cpu",
            "commit": commit.stdout.strip(),
            "versions": {"mytensor": mt.__version__, "numpy": np.__version__, "python": platform.python_version()},
            "divisors": DIVISORS,
            "runs": runs,
        },
        RESULTS,
    )


if __name__ == "__main__":
    main()
